import Foundation
import TensorKit
import Weights

/// Frames as numbers in a file, since 8 or 16 bits hide what is studied: float32, (N, 3, H, W), red, green and blue in
/// [-1, 1]. A `.npy` of numpy, or a `.safetensors` whose only tensor of that shape they are.
final class FrameArray: Sendable {
    enum Kind: String {
        case npy, safetensors

        /// By the name's extension.
        init?(path: String) { self.init(rawValue: (path as NSString).pathExtension.lowercased()) }
    }

    let count: Int
    let height: Int
    let width: Int
    private let path: String
    private let body: Body

    private enum Body {
        /// The file, and where its numbers begin.
        case npy(Data, Int)
        case safetensors(SafetensorsFile, String)
    }

    /// Reads the header alone.
    /// - Throws: `VideoError.notAVideo` for what is no such file.
    init(_ path: String) throws {
        self.path = path
        let shape: [Int]
        switch Kind(path: path) {
        case .safetensors:
            let file = try SafetensorsFile(at: URL(fileURLWithPath: path))
            let found = file.entries.filter { $0.value.dtype == .f32 && $0.value.shape.count == 4 }
            guard found.count == 1, let (name, entry) = found.first else {
                throw Self.refusal(
                    path, "it has \(found.count) tensors of float32 and four dimensions, and one is needed")
            }
            (shape, body) = (entry.shape, .safetensors(file, name))
        default:
            guard let data = try? Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe),
                let header = NumpyHeader(data)
            else { throw Self.refusal(path, "it is no array of numpy") }
            guard header.type == "<f4", !header.isFortran else {
                throw Self.refusal(path, "its numbers are \(header.type), and float32 in rows are needed")
            }
            guard data.count - header.length == header.shape.reduce(4, *) else {
                throw Self.refusal(path, "it is not as long as it says")
            }
            (shape, body) = (header.shape, .npy(data, header.length))
        }
        guard shape.count == 4, shape[1] == 3, shape[0] > 0,
            VideoFrame.componentCount(width: shape[3], height: shape[2]) != nil
        else {
            throw Self.refusal(path, "its shape is \(shape), and (frames, 3, height, width) is needed")
        }
        (count, height, width) = (shape[0], shape[2], shape[3])
    }

    private static func refusal(_ path: String, _ reason: String) -> VideoError { .notAVideo(path, details: reason) }

    /// A frame, from 0.
    func frame(_ index: Int) throws -> VideoFrame {
        let size = 3 * height * width
        func values(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> [Float] {
            let plane = height * width
            return [Float](unsafeUninitializedCapacity: size) { target, initialized in
                for i in 0..<size {
                    // From planes to pixels.
                    let bits = bytes.loadUnaligned(fromByteOffset: start + 4 * (i % 3 * plane + i / 3), as: UInt32.self)
                    target[i] = Float(bitPattern: UInt32(littleEndian: bits))
                }
                initialized = size
            }
        }
        let all: [Float]
        switch body {
        case .npy(let data, let start): all = data.withUnsafeBytes { values($0, start + 4 * size * index) }
        case .safetensors(let file, let name): all = try file.withUnsafeBytes(of: name) { values($0, 4 * size * index) }
        }
        guard all.allSatisfy(\.isFinite) else {
            throw Self.refusal(path, "frame \(index) has numbers that are none (NaN or infinity)")
        }
        return try VideoFrame(width: width, height: height, pixels: .float(all))
    }
}

/// The header of a `.npy` file.
struct NumpyHeader: Equatable {
    var type: String
    var isFortran: Bool
    var shape: [Int]
    /// Bytes before the first number.
    var length: Int

    /// Nil for what is none.
    init?(_ file: Data) {
        let bytes = [UInt8](file.prefix(12))
        guard bytes.count == 12, bytes.starts(with: [0x93] + Array("NUMPY".utf8)) else { return nil }
        let isLong = bytes[6] >= 2
        let start = isLong ? 12 : 10
        let low = Int(bytes[8]) | Int(bytes[9]) << 8
        length = start + (isLong ? low | Int(bytes[10]) << 16 | Int(bytes[11]) << 24 : low)
        guard length <= file.count, length <= 1 << 16 else { return nil }
        let text = String(decoding: file[file.startIndex + start..<file.startIndex + length], as: UTF8.self)
        /// What stands behind a key, up to one of some characters.
        func value(_ key: String, from open: Character, to close: Character) -> Substring? {
            guard let name = text.range(of: "'\(key)'"), let first = text[name.upperBound...].firstIndex(of: open),
                let end = text[first...].dropFirst().firstIndex(of: close)
            else { return nil }
            return text[text.index(after: first)..<end]
        }
        guard let type = value("descr", from: "'", to: "'"), let order = value("fortran_order", from: ":", to: ","),
            let shape = value("shape", from: "(", to: ")")
        else { return nil }
        let sizes = shape.split(separator: ",").map { Int($0.trimmingCharacters(in: .whitespaces)) }
        // A product that overflows is none.
        var product = 4
        for size in sizes {
            guard let size, size >= 0 else { return nil }
            let (next, isBeyond) = product.multipliedReportingOverflow(by: size)
            guard !isBeyond else { return nil }
            product = next
        }
        (self.type, self.isFortran, self.shape) = (String(type), order.contains("True"), sizes.compactMap(\.self))
    }
}

/// Writes frames as numbers, whose header says at the end how many came.
struct FrameArrayWriter {
    private let handle: FileHandle
    private let kind: FrameArray.Kind
    private let height: Int
    private let width: Int
    private var count = 0
    /// Room for any number of frames.
    private static let header = 256

    init(_ path: String, kind: FrameArray.Kind, height: Int, width: Int) throws {
        handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        (self.kind, self.height, self.width) = (kind, height, width)
        try handle.write(contentsOf: Data(count: Self.header))
    }

    mutating func append(_ frame: VideoFrame) throws {
        guard case .float(let values) = frame.pixels else { return }
        let plane = height * width
        var planes = [UInt32](repeating: 0, count: values.count)
        for (i, value) in values.enumerated() { planes[i % 3 * plane + i / 3] = value.bitPattern.littleEndian }
        try planes.withUnsafeBytes { try handle.write(contentsOf: Data($0)) }
        count += 1
    }

    /// Says how many frames there are, and closes the file.
    func finish() throws {
        let shape = [count, 3, height, width].map(String.init).joined(separator: ", ")
        let start: [UInt8]
        let text: String
        let end: String
        switch kind {
        case .npy:
            let length = UInt16(Self.header - 10)
            start = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)]
            (text, end) = ("{'descr': '<f4', 'fortran_order': False, 'shape': (\(shape)), }", "\n")
        case .safetensors:
            let bytes = count * 3 * height * width * 4
            start = withUnsafeBytes(of: UInt64(Self.header - 8).littleEndian, Array.init)
            text = "{\"frames\":{\"dtype\":\"F32\",\"shape\":[\(shape)],\"data_offsets\":[0,\(bytes)]}}"
            end = ""
        }
        let body = start + Array(text.utf8)
        let padding = [UInt8](repeating: 0x20, count: Self.header - body.count - end.utf8.count)
        try handle.seek(toOffset: 0)
        try handle.write(contentsOf: Data(body + padding + Array(end.utf8)))
        try handle.close()
    }
}
