import CLibTorch

/// How the elements of a batch of images lie in memory.
public enum MemoryFormat: Sendable, Hashable {
    /// Row-major: N, C, H, W.
    case contiguous
    /// N, H, W, C.
    case channelsLast

    /// What a network runs fastest in: channels last, but for wide ones in float32 on a CPU. There Winograd's algorithm has the other one.
    /// - Parameter channels: of the network's narrowest layers.
    public static func fastest(for dtype: DType, on device: Device, channels: Int) -> MemoryFormat {
        device == .cpu && dtype == .float32 && channels >= 128 && Engine.hasWinograd ? .contiguous : .channelsLast
    }

    var code: Int32 {
        switch self {
        case .contiguous: clibtorch_memory_format_code("contiguous_format")
        case .channelsLast: clibtorch_memory_format_code("channels_last")
        }
    }
}

/// An n-dimensional array on a device, computed with by LibTorch.
///
/// A tensor is a value: assigning one is O(1) and shares memory, changing one never shows in another. Views (`narrow`, `permute`,
/// `reshape` where possible) share memory too; the mutating operators work in place only while no other tensor sees that memory
/// and make a new tensor otherwise.
///
/// Every operator throws `TensorError.operation` with PyTorch's own message when it refuses its arguments (shapes that do not
/// match, a type it does not have). Operators on a GPU are queued: they return before they are done.
///
///     let x = try Tensor([1, 2, 3, 4], shape: [2, 2])
///     let y = try (x * 2 + 1).sum(along: [1])
public struct Tensor: @unchecked Sendable {
    // Handles are reference-counted atomically and a tensor's memory is only written while it is uniquely referenced.
    var reference: TensorReference

    /// - Parameter simulation: the simulated device that it is on; nil for the engine's own.
    init(
        owning word: clibtorch_value, storage: TensorStorage = TensorStorage(), on simulation: Device.Simulation?
    ) {
        // A null handle cannot come from a call that returned success.
        let handle = UnsafeMutableRawPointer(bitPattern: UInt(word))!
        reference = TensorReference(handle: handle, storage: storage, simulation: simulation)
    }

    init(
        owning handle: clibtorch_tensor, storage: TensorStorage = TensorStorage(), on simulation: Device.Simulation?
    ) {
        reference = TensorReference(handle: handle, storage: storage, simulation: simulation)
    }

    var handle: clibtorch_tensor { reference.handle }

    /// A new owned reference as a stack word.
    func retainedWord() throws(TensorError) -> clibtorch_value {
        var result: clibtorch_tensor?
        guard clibtorch_tensor_retain(handle, &result) == 0 else { throw Self.failure("retain") }
        return clibtorch_value(UInt(bitPattern: result))
    }

    // MARK: What it is

    /// The size along each dimension; empty for a scalar.
    public var shape: [Int] { dimensions(clibtorch_tensor_sizes) }

    /// Elements to step over to the next index, along each dimension.
    public var strides: [Int] { dimensions(clibtorch_tensor_strides) }

    private func dimensions(
        _ get: (clibtorch_tensor, UnsafeMutablePointer<UnsafeMutablePointer<Int64>?>) -> Int32
    ) -> [Int] {
        var count: Int64 = 0
        var values: UnsafeMutablePointer<Int64>?
        guard clibtorch_tensor_dim(handle, &count) == 0, get(handle, &values) == 0, let values else { return [] }
        return (0..<Int(count)).map { Int(values[$0]) }
    }

    /// The number of dimensions.
    public var rank: Int {
        var count: Int64 = 0
        _ = clibtorch_tensor_dim(handle, &count)
        return Int(count)
    }

    /// The number of elements.
    public var count: Int {
        var count: Int64 = 0
        _ = clibtorch_tensor_numel(handle, &count)
        return Int(count)
    }

    public var dtype: DType {
        var code: Int32 = -1
        _ = clibtorch_tensor_dtype(handle, &code)
        return DType(code: code) ?? .float32
    }

    public var device: Device {
        if let simulation = reference.simulation { return .simulated(simulation) }
        var type: Int32 = 0
        var index: Int32 = 0
        _ = clibtorch_tensor_device(handle, &type, &index)
        return Device(type: type, index: index) ?? .cpu
    }

    /// Whether the elements lie in row-major order without gaps.
    public var isContiguous: Bool {
        var expected = 1
        for (size, stride) in zip(shape, strides).reversed() where size != 1 {
            if stride != expected { return count == 0 }
            expected *= size
        }
        return true
    }

    /// Size along one dimension; negative dimensions count from the end.
    public func size(_ dimension: Int) -> Int {
        let shape = shape
        return shape[dimension < 0 ? shape.count + dimension : dimension]
    }
}

extension Tensor: CustomStringConvertible {
    public var description: String {
        "Tensor(\(shape.map(String.init).joined(separator: "x")), \(dtype.rawValue), \(device))"
    }
}

/// Owns one handle.
final class TensorReference {
    let handle: clibtorch_tensor
    var storage: TensorStorage
    /// The simulated device that the tensor is on; the engine takes it for one of the CPU's.
    let simulation: Device.Simulation?

    init(handle: clibtorch_tensor, storage: TensorStorage, simulation: Device.Simulation?) {
        self.handle = handle
        self.storage = storage
        self.simulation = simulation
    }

    deinit { clibtorch_tensor_release(handle) }
}

/// Stands for the memory that a tensor and its views share, so that an in-place operator can see whether it is alone.
final class TensorStorage {
    /// Memory that must not be written: a mapped file, a caller's array.
    let isReadOnly: Bool

    init(isReadOnly: Bool = false) { self.isReadOnly = isReadOnly }
}
