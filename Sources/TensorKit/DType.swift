import CLibTorch

/// The type of a tensor's elements.
public enum DType: String, Sendable, Hashable, CaseIterable, Codable {
    case float64, float32, float16, bfloat16
    case int64, int32, int16, int8
    case uint64, uint32, uint16, uint8
    case bool
    case complex64, complex128

    /// Bytes of one element.
    public var byteCount: Int {
        switch self {
        case .complex128: 16
        case .float64, .int64, .uint64, .complex64: 8
        case .float32, .int32, .uint32: 4
        case .float16, .bfloat16, .int16, .uint16: 2
        case .int8, .uint8, .bool: 1
        }
    }

    /// Whether the elements are real floating-point numbers.
    public var isFloatingPoint: Bool {
        switch self {
        case .float64, .float32, .float16, .bfloat16: true
        default: false
        }
    }

    /// The largest number of a floating-point type.
    var largest: Double {
        switch self {
        case .float16: 65504
        case .bfloat16: 0x1.FEp127
        case .float32: Double(Float.greatestFiniteMagnitude)
        default: .greatestFiniteMagnitude
        }
    }

    /// Whether the elements are integers or truth values.
    var isIntegral: Bool {
        switch self {
        case .float64, .float32, .float16, .bfloat16, .complex64, .complex128: false
        default: true
        }
    }

    // The codes belong to the running library; asking it once per type keeps them out of our source.
    private static let codes: [DType: Int32] = Dictionary(
        uniqueKeysWithValues: allCases.map { ($0, clibtorch_dtype_code($0.rawValue)) })
    private static let types: [Int32: DType] = Dictionary(
        codes.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first })

    /// The running library's code. Valid once the engine is loaded.
    var code: Int32 { Self.codes[self] ?? -1 }

    init?(code: Int32) {
        guard let type = Self.types[code] else { return nil }
        self = type
    }
}

/// A Swift type that is stored in tensors bit for bit.
public protocol TensorElement: BitwiseCopyable, Sendable {
    static var dtype: DType { get }
}

extension Double: TensorElement { public static var dtype: DType { .float64 } }
extension Float: TensorElement { public static var dtype: DType { .float32 } }
extension Int64: TensorElement { public static var dtype: DType { .int64 } }
extension Int: TensorElement { public static var dtype: DType { .int64 } }
extension Int32: TensorElement { public static var dtype: DType { .int32 } }
extension Int16: TensorElement { public static var dtype: DType { .int16 } }
extension Int8: TensorElement { public static var dtype: DType { .int8 } }
extension UInt64: TensorElement { public static var dtype: DType { .uint64 } }
extension UInt32: TensorElement { public static var dtype: DType { .uint32 } }
extension UInt16: TensorElement { public static var dtype: DType { .uint16 } }
extension UInt8: TensorElement { public static var dtype: DType { .uint8 } }
extension Bool: TensorElement { public static var dtype: DType { .bool } }
