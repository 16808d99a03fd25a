/// The element types the safetensors format can name.
///
/// The raw value is the spelling in the file's header. Being recognised here says nothing of whether TensorKit can compute with the type.
public enum SafetensorsDType: String, Sendable, Hashable, CaseIterable {
    case f64 = "F64"
    case f32 = "F32"
    case f16 = "F16"
    case bf16 = "BF16"
    case i64 = "I64"
    case i32 = "I32"
    case i16 = "I16"
    case i8 = "I8"
    case u64 = "U64"
    case u32 = "U32"
    case u16 = "U16"
    case u8 = "U8"
    case bool = "BOOL"
    case f8e4m3 = "F8_E4M3"
    case f8e5m2 = "F8_E5M2"

    /// Bytes per element, which is also the alignment that the element wants.
    public var size: Int {
        switch self {
        case .f64, .i64, .u64: 8
        case .f32, .i32, .u32: 4
        case .f16, .bf16, .i16, .u16: 2
        case .i8, .u8, .bool, .f8e4m3, .f8e5m2: 1
        }
    }

    /// Whether the type is a floating-point type, that is, whether it can hold a NaN.
    public var isFloatingPoint: Bool {
        switch self {
        case .f64, .f32, .f16, .bf16, .f8e4m3, .f8e5m2: true
        default: false
        }
    }
}

/// The number of elements of `shape`, or nil where the product does not fit.
///
/// Dimensions of 0 count as 1 while the overflow is looked for: a shape such as [0, 2^62, 4] holds nothing, but its strides would wrap around.
func elementCount(of shape: [Int]) -> Int? {
    var product = 1
    for dimension in shape {
        if dimension < 0 { return nil }
        let (next, overflow) = product.multipliedReportingOverflow(by: max(dimension, 1))
        if overflow { return nil }
        product = next
    }
    return shape.contains(0) ? 0 : product
}

/// The bytes that `shape` takes in `dtype`, or nil where the count does not fit.
func byteCount(of shape: [Int], _ dtype: SafetensorsDType) -> Int? {
    guard elementCount(of: shape + [dtype.size]) != nil, let count = elementCount(of: shape) else { return nil }
    return count * dtype.size
}
