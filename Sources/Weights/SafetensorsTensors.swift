import Foundation
import TensorKit

extension SafetensorsDType {
    /// TensorKit's name for the type; nil for the 8-bit floating-point types, which it does not have.
    public var tensorType: DType? {
        switch self {
        case .f64: .float64
        case .f32: .float32
        case .f16: .float16
        case .bf16: .bfloat16
        case .i64: .int64
        case .i32: .int32
        case .i16: .int16
        case .i8: .int8
        case .u64: .uint64
        case .u32: .uint32
        case .u16: .uint16
        case .u8: .uint8
        case .bool: .bool
        case .f8e4m3, .f8e5m2: nil
        }
    }

    /// The format's name for TensorKit's type; nil where it has none.
    public init?(_ type: DType) {
        guard let match = Self.allCases.first(where: { $0.tensorType == type }) else { return nil }
        self = match
    }
}

extension SafetensorsFile {
    /// The tensor `name`, on the CPU, over the mapped file: no byte is read until it is used, and the file stays mapped as long as
    /// the tensor lives. Only a tensor whose address is not aligned to its type is copied; `SafetensorsWriter` writes none such.
    /// - Throws: `SafetensorsError` or `TensorError`.
    public func tensor(_ name: String) throws -> Tensor { try tensor(try entry(name), named: name) }

    /// The tensor that `entry` describes, which is `name` or a part of it.
    func tensor(_ entry: Entry, named name: String) throws -> Tensor {
        guard let type = entry.dtype.tensorType else {
            throw SafetensorsError(
                path: url.path, violation: .unsupportedDType(tensor: name, dtype: entry.dtype.rawValue))
        }
        let bytes = bytes(of: entry)
        // Compilers take for granted that a truth value is 0 or 1.
        if entry.dtype == .bool, bytes.contains(where: { $0 > 1 }) {
            throw SafetensorsError(path: url.path, violation: .badTruthValue(tensor: name))
        }
        guard !bytes.isEmpty, let base = bytes.baseAddress else { return try Tensor.empty(entry.shape, dtype: type) }
        if Int(bitPattern: base).isMultiple(of: entry.dtype.size) {
            return try Tensor(borrowing: base, shape: entry.shape, dtype: type, owner: mapping)
        }
        let copy = AlignedCopy(bytes)
        return try Tensor(borrowing: copy.base, shape: entry.shape, dtype: type, owner: copy)
    }

    /// All tensors, over the mapped file.
    /// - Throws: `SafetensorsError` or `TensorError`.
    public func tensors() throws -> [String: Tensor] {
        var tensors: [String: Tensor] = [:]
        for name in names { tensors[name] = try tensor(name) }
        return tensors
    }
}

extension SafetensorsWriter {
    /// Writes `tensors` to `url`, one at a time, and refuses to replace a file there unless `overwrite` is true.
    public static func write(
        _ tensors: [String: Tensor], metadata: [String: String] = [:], to url: URL, overwrite: Bool = false
    ) throws(SafetensorsError) {
        var descriptions: [String: Description] = [:]
        for (name, tensor) in tensors {
            guard let dtype = SafetensorsDType(tensor.dtype) else {
                throw SafetensorsError(
                    path: url.path, violation: .unsupportedDType(tensor: name, dtype: tensor.dtype.rawValue))
            }
            descriptions[name] = Description(dtype: dtype, shape: tensor.shape)
        }
        try write(descriptions, metadata: metadata, to: url, overwrite: overwrite) { name, sink in
            try tensors[name]?.withUnsafeBytes(sink)
        }
    }
}

/// Bytes moved to where any element type may lie.
private final class AlignedCopy: @unchecked Sendable {  // Written in init only.
    let base: UnsafeMutableRawPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        base = .allocate(byteCount: bytes.count, alignment: 64)
        if let source = bytes.baseAddress { base.copyMemory(from: source, byteCount: bytes.count) }
    }

    deinit { base.deallocate() }
}
