import Foundation

/// A safetensors file that cannot be read or written: which file, and which rule it breaks.
public struct SafetensorsError: Error, Sendable, Hashable, CustomStringConvertible, LocalizedError {
    public let path: String
    public let violation: SafetensorsViolation

    public init(path: String, violation: SafetensorsViolation) {
        self.path = path
        self.violation = violation
    }

    public var description: String { "\(path): \(violation)" }
    public var errorDescription: String? { description }
}

/// Every way in which a safetensors file can be wrong.
public enum SafetensorsViolation: Error, Sendable, Hashable, CustomStringConvertible {
    // The file.
    case cannotOpen(reason: String)
    case notARegularFile
    case cannotMap(reason: String)
    case gitLFSPointer
    case pickle

    // The header as a piece of text.
    case fileTooShort(size: Int)
    case headerTooLong(length: UInt64, limit: Int)
    case headerBeyondFile(length: Int, fileSize: Int)
    case headerDoesNotStartWithBrace
    case headerNotUTF8
    case headerNotJSON(JSONProblem)

    // What the header says.
    case metadataNotStrings
    case tensorNotAnObject(String)
    case unknownField(tensor: String, field: String)
    case missingField(tensor: String, field: String)
    case unknownDType(tensor: String, dtype: String)
    case badShape(tensor: String)
    case tooManyDimensions(tensor: String, limit: Int)
    case badOffsets(tensor: String)
    case sizeOverflow(tensor: String)

    // The header against the data.
    case offsetsReversed(tensor: String, begin: Int, end: Int)
    case offsetsBeyondData(tensor: String, end: Int, dataSize: Int)
    case wrongByteCount(tensor: String, expected: Int, found: Int)
    case overlap(tensor: String, begin: Int, previousEnd: Int)
    case hole(tensor: String, begin: Int, previousEnd: Int)
    case uncoveredTail(covered: Int, dataSize: Int)

    // Using and writing.
    case noSuchTensor(String)
    case unsupportedDType(tensor: String, dtype: String)
    case badTruthValue(tensor: String)
    case reservedName(String)
    case alreadyExists
    case cannotWrite(reason: String)

    /// One sentence; `SafetensorsError` puts the file's path before it.
    public var description: String {
        switch self {
        case .cannotOpen(let reason): "the file cannot be opened (\(reason)); check the path and its permissions."
        case .notARegularFile: "this is not a regular file; name the .safetensors file itself."
        case .cannotMap(let reason):
            "the file cannot be mapped into memory (\(reason)); free some address space or copy it to a local disk."
        case .gitLFSPointer: "this is a Git LFS pointer, not the weights; fetch the file itself with 'git lfs pull'."
        case .pickle:
            "this is a PyTorch pickle under another name, and only safetensors are read; convert it with safetensors' save_file."
        case .fileTooShort(let size): "the file has \(size) bytes and a safetensors file at least 8; \(again)"
        case .headerTooLong(let length, let limit):
            "the header claims \(length) bytes, more than the \(limit) that the format allows; this is not a safetensors file, or \(again)"
        case .headerBeyondFile(let length, let fileSize):
            "the header claims \(length) bytes and the file has \(fileSize); the file is cut off, \(again)"
        case .headerDoesNotStartWithBrace:
            "the header does not start with '{'; this is not a safetensors file, or \(again)"
        case .headerNotUTF8: "the header is not UTF-8; \(again)"
        case .headerNotJSON(let problem): "the header is not the JSON it should be: \(problem); \(again)"
        case .metadataNotStrings: "'__metadata__' may hold strings only; \(again)"
        case .tensorNotAnObject(let tensor): "the header's entry for \(quoted(tensor)) is not an object; \(again)"
        case .unknownField(let tensor, let field):
            "tensor \(quoted(tensor)) has an unknown field \(quoted(field)); \(again)"
        case .missingField(let tensor, let field): "tensor \(quoted(tensor)) has no '\(field)'; \(again)"
        case .unknownDType(let tensor, let dtype):
            "tensor \(quoted(tensor)) has the unknown type \(quoted(dtype)); convert it to a type such as F32, F16 or BF16."
        case .badShape(let tensor):
            "the shape of tensor \(quoted(tensor)) is not a list of non-negative integers; \(again)"
        case .tooManyDimensions(let tensor, let limit):
            "tensor \(quoted(tensor)) has more than \(limit) dimensions; \(again)"
        case .badOffsets(let tensor):
            "the data_offsets of tensor \(quoted(tensor)) are not two non-negative integers; \(again)"
        case .sizeOverflow(let tensor): "the size of tensor \(quoted(tensor)) does not fit in 64 bits; \(again)"
        case .offsetsReversed(let tensor, let begin, let end):
            "tensor \(quoted(tensor)) ends (\(end)) before it begins (\(begin)); \(again)"
        case .offsetsBeyondData(let tensor, let end, let dataSize):
            "tensor \(quoted(tensor)) ends at byte \(end) of \(dataSize) bytes of data; the file is cut off, \(again)"
        case .wrongByteCount(let tensor, let expected, let found):
            "tensor \(quoted(tensor)) has \(found) bytes where its shape and type need \(expected); \(again)"
        case .overlap(let tensor, let begin, let previousEnd):
            "tensor \(quoted(tensor)) begins at byte \(begin), inside the one that ends at \(previousEnd); \(again)"
        case .hole(let tensor, let begin, let previousEnd):
            "bytes \(previousEnd) to \(begin) before tensor \(quoted(tensor)) belong to no tensor; \(again)"
        case .uncoveredTail(let covered, let dataSize):
            "the last \(dataSize - covered) of \(dataSize) bytes of data belong to no tensor; \(again)"
        case .noSuchTensor(let tensor):
            "there is no tensor \(quoted(tensor)) in it; check the key or the kind of model."
        case .unsupportedDType(let tensor, let dtype):
            "tensor \(quoted(tensor)) is of type \(dtype), which this program cannot compute with; convert it to F32, F16 or BF16."
        case .badTruthValue(let tensor):
            "tensor \(quoted(tensor)) is of type BOOL but holds bytes other than 0 and 1; \(again)"
        case .reservedName(let name):
            "\(quoted(name)) cannot be a tensor's name; the format keeps it for itself, choose another."
        case .alreadyExists:
            "the file exists already and was left as it is; ask to overwrite it or choose another name."
        case .cannotWrite(let reason):
            "the file cannot be written (\(reason)); check the folder, its permissions and the free space."
        }
    }

    private var again: String { "download or convert the file again." }
}
