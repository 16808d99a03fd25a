extension SafetensorsFile {
    /// The names of the floating-point tensors that hold a NaN or an infinity, in order. Reads all of their data.
    public func nonFiniteTensors() -> [String] {
        names.filter { name in
            guard let entry = entries[name] else { return false }
            return hasNonFinite(bytes(of: entry), entry.dtype)
        }
    }
}

/// Whether floating-point data of type `dtype` holds a NaN or an infinity.
func hasNonFinite(_ bytes: UnsafeRawBufferPointer, _ dtype: SafetensorsDType) -> Bool {
    // All bits of the exponent set means NaN or infinity, whatever the fraction and the sign.
    switch dtype {
    case .f64: anyWord(bytes, hasAll: 0x7FF0_0000_0000_0000 as UInt64)
    case .f32: anyWord(bytes, hasAll: 0x7F80_0000 as UInt32)
    case .f16: anyWord(bytes, hasAll: 0x7C00 as UInt16)
    case .bf16: anyWord(bytes, hasAll: 0x7F80 as UInt16)
    case .f8e5m2: anyWord(bytes, hasAll: 0x7C as UInt8)
    // This one has no infinities, and a NaN has all bits set.
    case .f8e4m3: anyWord(bytes, hasAll: 0x7F as UInt8)
    default: false
    }
}

/// Whether any word of `bytes` has all bits of `mask`. In blocks: within one there is no early way out, so it runs in vectors.
private func anyWord<Word: FixedWidthInteger & BitwiseCopyable>(
    _ bytes: UnsafeRawBufferPointer, hasAll mask: Word
) -> Bool {
    let size = MemoryLayout<Word>.size
    var start = 0
    while start < bytes.count {
        let end = min(start + 65536, bytes.count)
        var found = false
        for offset in stride(from: start, to: end, by: size) {
            found = (bytes.loadUnaligned(fromByteOffset: offset, as: Word.self) & mask == mask) || found
        }
        if found { return true }
        start = end
    }
    return false
}
