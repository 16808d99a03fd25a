/// The header of a safetensors file, checked against the whole format.
///
/// A pure function of bytes, so that hostile files are easy to try on it. After `init` these hold, and the mapped reader relies on them:
/// every range lies in `0..<dataSize`, its length is the product of the shape times the size of the type,
/// and sorted by begin the ranges cover `0..<dataSize` without overlap or hole.
struct SafetensorsHeader: Sendable {
    /// The format's own limit on the length of the header.
    static let lengthLimit = 100_000_000
    /// The most dimensions a tensor can have (LibTorch's limit).
    static let dimensionLimit = 64
    static let metadataKey = "__metadata__"
    static let prefixSize = 8

    var entries: [String: SafetensorsFile.Entry] = [:]
    var metadata: [String: String] = [:]
    /// Where the data begins in the file.
    let dataStart: Int
    let dataSize: Int

    /// Reads the header of the file that `file` holds as a whole.
    init(file: UnsafeRawBufferPointer) throws(SafetensorsViolation) {
        guard file.count >= Self.prefixSize else { throw .fileTooShort(size: file.count) }
        let claimed = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
        guard claimed <= UInt64(Self.lengthLimit) else {
            throw Self.otherFormat(file) ?? .headerTooLong(length: claimed, limit: Self.lengthLimit)
        }
        let length = Int(claimed)
        guard length <= file.count - Self.prefixSize else {
            throw .headerBeyondFile(length: length, fileSize: file.count)
        }
        dataStart = Self.prefixSize + length
        dataSize = file.count - dataStart

        let text = Array(file[Self.prefixSize..<dataStart])
        guard text.first == UInt8(ascii: "{") else { throw .headerDoesNotStartWithBrace }
        guard String(validating: text, as: UTF8.self) != nil else { throw .headerNotUTF8 }
        do {
            try parse(text)
        } catch let problem as JSONProblem {
            throw .headerNotJSON(problem)
        } catch let violation as SafetensorsViolation {
            throw violation
        } catch {
            throw .headerNotJSON(.syntax(offset: 0, expected: "a header"))
        }
        try checkCoverage()
    }

    /// The two kinds of file that people most often have in place of a safetensors file; both read as an absurd header length.
    private static func otherFormat(_ file: UnsafeRawBufferPointer) -> SafetensorsViolation? {
        if file.starts(with: "version https://git-lfs".utf8) { return .gitLFSPointer }
        if file.starts(with: [0x50, 0x4B, 0x03, 0x04]) || file.starts(with: [0x80, 0x02]) { return .pickle }
        return nil
    }
}

// MARK: - The text

extension SafetensorsHeader {
    private mutating func parse(_ text: [UInt8]) throws {
        var cursor = JSONCursor(text)
        var entries: [String: SafetensorsFile.Entry] = [:]
        var metadata: [String: String] = [:]
        try cursor.object { cursor, key in
            if key == Self.metadataKey {
                metadata = try Self.metadata(&cursor)
            } else {
                entries[key] = try Self.entry(key, &cursor)
            }
        }
        try cursor.end(padding: [0x20])
        self.entries = entries
        self.metadata = metadata
    }

    private static func metadata(_ cursor: inout JSONCursor) throws -> [String: String] {
        guard cursor.peek() == .object else { throw SafetensorsViolation.metadataNotStrings }
        var metadata: [String: String] = [:]
        try cursor.object { cursor, key in
            guard cursor.peek() == .string else { throw SafetensorsViolation.metadataNotStrings }
            metadata[key] = try cursor.string()
        }
        return metadata
    }

    private static func entry(_ name: String, _ cursor: inout JSONCursor) throws -> SafetensorsFile.Entry {
        guard cursor.peek() == .object else { throw SafetensorsViolation.tensorNotAnObject(name) }
        var dtype: SafetensorsDType?
        var shape: [Int]?
        var offsets: [Int]?
        try cursor.object { cursor, field in
            switch field {
            case "dtype":
                guard cursor.peek() == .string else { throw SafetensorsViolation.unknownDType(tensor: name, dtype: "") }
                let spelling = try cursor.string()
                dtype = SafetensorsDType(rawValue: spelling)
                if dtype == nil { throw SafetensorsViolation.unknownDType(tensor: name, dtype: spelling) }
            case "shape":
                shape = try counts(
                    &cursor, limit: dimensionLimit, wrong: .badShape(tensor: name), large: .sizeOverflow(tensor: name),
                    many: .tooManyDimensions(tensor: name, limit: dimensionLimit))
            case "data_offsets":
                offsets = try counts(
                    &cursor, limit: 2, wrong: .badOffsets(tensor: name), large: .badOffsets(tensor: name),
                    many: .badOffsets(tensor: name))
                if offsets?.count != 2 { throw SafetensorsViolation.badOffsets(tensor: name) }
            default:
                throw SafetensorsViolation.unknownField(tensor: name, field: field)
            }
        }
        guard let dtype else { throw SafetensorsViolation.missingField(tensor: name, field: "dtype") }
        guard let shape else { throw SafetensorsViolation.missingField(tensor: name, field: "shape") }
        guard let offsets else { throw SafetensorsViolation.missingField(tensor: name, field: "data_offsets") }
        // Only the order is settled here, because a Range needs it; the rest is checked against the data.
        guard offsets[0] <= offsets[1] else {
            throw SafetensorsViolation.offsetsReversed(tensor: name, begin: offsets[0], end: offsets[1])
        }
        return .init(dtype: dtype, shape: shape, range: offsets[0]..<offsets[1])
    }

    /// A list of at most `limit` non-negative integers; three violations for the three ways it can fail to be one.
    private static func counts(
        _ cursor: inout JSONCursor, limit: Int, wrong: SafetensorsViolation, large: SafetensorsViolation,
        many: SafetensorsViolation
    ) throws -> [Int] {
        guard cursor.peek() == .array else { throw wrong }
        var list: [Int] = []
        try cursor.array { cursor in
            guard cursor.peek() == .number else { throw wrong }
            guard list.count < limit else { throw many }
            do throws(JSONProblem) {
                list.append(try cursor.count())
            } catch {
                if case .numberTooLarge = error { throw large }
                throw wrong
            }
        }
        return list
    }
}

// MARK: - The ranges

extension SafetensorsHeader {
    private func checkCoverage() throws(SafetensorsViolation) {
        // By range first; the name only makes the error the same in every run.
        let sorted = entries.map { (name: $0.key, entry: $0.value) }.sorted { first, second in
            let (a, b) = (first.entry.range, second.entry.range)
            return (a.lowerBound, a.upperBound, first.name) < (b.lowerBound, b.upperBound, second.name)
        }
        var covered = 0
        for (name, entry) in sorted {
            let range = entry.range
            guard range.upperBound <= dataSize else {
                throw .offsetsBeyondData(tensor: name, end: range.upperBound, dataSize: dataSize)
            }
            guard let expected = byteCount(of: entry.shape, entry.dtype) else { throw .sizeOverflow(tensor: name) }
            guard range.count == expected else {
                throw .wrongByteCount(tensor: name, expected: expected, found: range.count)
            }
            guard range.lowerBound >= covered else {
                throw .overlap(tensor: name, begin: range.lowerBound, previousEnd: covered)
            }
            guard range.lowerBound == covered else {
                throw .hole(tensor: name, begin: range.lowerBound, previousEnd: covered)
            }
            covered = range.upperBound
        }
        guard covered == dataSize else { throw .uncoveredTail(covered: covered, dataSize: dataSize) }
    }
}
