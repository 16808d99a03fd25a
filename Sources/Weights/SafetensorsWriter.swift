import Foundation

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

/// Writes safetensors files.
///
/// Tensors lie in the file by decreasing element size, then by name, and the header is padded to 8 bytes, so that every tensor
/// is aligned in a mapped file and equal content gives equal files. The bytes go to a `.partial-*` file beside the target, which
/// takes the target's place only when it is whole and on disk.
public enum SafetensorsWriter {
    /// A named array's content as raw little-endian bytes in row-major order.
    public struct Array: Sendable, Hashable {
        public var dtype: SafetensorsDType
        public var shape: [Int]
        public var bytes: Data

        public init(dtype: SafetensorsDType, shape: [Int], bytes: Data) {
            self.dtype = dtype
            self.shape = shape
            self.bytes = bytes
        }
    }

    /// Writes `arrays` to `url`, and refuses to replace a file there unless `overwrite` is true.
    public static func write(
        _ arrays: [String: Array], metadata: [String: String] = [:], to url: URL, overwrite: Bool = false
    ) throws(SafetensorsError) {
        try write(
            arrays.mapValues { Description(dtype: $0.dtype, shape: $0.shape) }, metadata: metadata, to: url,
            overwrite: overwrite
        ) {
            name, sink in
            try (arrays[name]?.bytes ?? Data()).withUnsafeBytes(sink)
        }
    }

    /// What the header says of a tensor.
    public struct Description: Sendable, Hashable {
        public var dtype: SafetensorsDType
        public var shape: [Int]

        public init(dtype: SafetensorsDType, shape: [Int]) {
            self.dtype = dtype
            self.shape = shape
        }
    }

    /// Writes tensors whose bytes are asked for one at a time: `content` is called with a name, once each and in the file's
    /// order, and passes the bytes to its second argument in as many pieces as it likes. Holds no more than a piece.
    /// - Throws: what `content` throws, as `SafetensorsViolation.cannotWrite`, too.
    public static func write(
        _ tensors: [String: Description], metadata: [String: String] = [:], to url: URL, overwrite: Bool = false,
        content: (String, (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws(SafetensorsError) {
        do {
            let (header, order) = try layOut(tensors, metadata: metadata)
            // Looked at first to spare the work, and again when the file is moved.
            if !overwrite, exists(url.path) { throw SafetensorsViolation.alreadyExists }
            let partial = "\(url.path).partial-\(UInt32.random(in: 0...UInt32.max))"
            let output = try OutputFile(partial)
            defer { unlink(partial) }
            try header.withUnsafeBytes(output.write)
            for (name, size) in order {
                var written = 0
                try content(name) { piece in
                    written += piece.count
                    try output.write(piece)
                }
                guard written == size else {
                    throw SafetensorsViolation.wrongByteCount(tensor: name, expected: size, found: written)
                }
            }
            try output.finish()
            try move(partial, to: url.path, overwrite: overwrite)
        } catch let violation as SafetensorsViolation {
            throw SafetensorsError(path: url.path, violation: violation)
        } catch {
            throw SafetensorsError(path: url.path, violation: .cannotWrite(reason: "\(error)"))
        }
    }

    /// The length prefix and header, and the tensors in the file's order with their sizes.
    private static func layOut(
        _ tensors: [String: Description], metadata: [String: String]
    ) throws(SafetensorsViolation) -> (header: [UInt8], order: [(name: String, size: Int)]) {
        let sorted = tensors.sorted {
            $0.value.dtype.size != $1.value.dtype.size
                ? $0.value.dtype.size > $1.value.dtype.size : $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
        }
        var members: [String] = []
        if !metadata.isEmpty {
            let pairs = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map {
                "\(jsonString($0.key)):\(jsonString($0.value))"
            }
            members.append("\(jsonString(SafetensorsHeader.metadataKey)):{\(pairs.joined(separator: ","))}")
        }
        var order: [(name: String, size: Int)] = []
        var offset = 0
        for (name, tensor) in sorted {
            guard name != SafetensorsHeader.metadataKey else { throw .reservedName(name) }
            guard tensor.shape.allSatisfy({ $0 >= 0 }) else { throw .badShape(tensor: name) }
            guard tensor.shape.count <= SafetensorsHeader.dimensionLimit else {
                throw .tooManyDimensions(tensor: name, limit: SafetensorsHeader.dimensionLimit)
            }
            guard let size = byteCount(of: tensor.shape, tensor.dtype) else { throw .sizeOverflow(tensor: name) }
            let (end, overflow) = offset.addingReportingOverflow(size)
            if overflow { throw .sizeOverflow(tensor: name) }
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(jsonString(name)):{\"dtype\":\"\(tensor.dtype.rawValue)\",\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]}"
            )
            order.append((name, size))
            offset = end
        }
        var text = Swift.Array("{\(members.joined(separator: ","))}".utf8)
        text.append(contentsOf: repeatElement(0x20, count: (8 - text.count % 8) % 8))
        guard text.count <= SafetensorsHeader.lengthLimit else {
            throw .headerTooLong(length: UInt64(text.count), limit: SafetensorsHeader.lengthLimit)
        }
        return (withUnsafeBytes(of: UInt64(text.count).littleEndian, Swift.Array.init) + text, order)
    }

    /// Gives the finished file its name.
    private static func move(_ partial: String, to path: String, overwrite: Bool) throws(SafetensorsViolation) {
        if !overwrite {
            // A hard link fails where a file stands, in one step; some file systems have none, and there a look must do.
            if link(partial, path) == 0 { return }
            if errno == EEXIST || exists(path) { throw .alreadyExists }
        }
        guard rename(partial, path) == 0 else { throw .cannotWrite(reason: lastSystemError()) }
    }

    private static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }
}

/// A new file that is written from beginning to end.
private final class OutputFile {
    private let descriptor: Int32

    init(_ path: String) throws(SafetensorsViolation) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .cannotWrite(reason: lastSystemError()) }
    }

    deinit { close(descriptor) }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SafetensorsViolation) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest)
            #if canImport(Darwin)
            let count = Darwin.write(descriptor, piece.baseAddress, piece.count)
            #else
            let count = Glibc.write(descriptor, piece.baseAddress, piece.count)
            #endif
            if count < 0 {
                if errno == EINTR { continue }
                throw .cannotWrite(reason: lastSystemError())
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Waits until the bytes are on the disk.
    func finish() throws(SafetensorsViolation) {
        // Some file systems know no fsync and say EINVAL.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw .cannotWrite(reason: lastSystemError()) }
    }
}
