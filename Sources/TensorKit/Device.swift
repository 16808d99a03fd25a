import CLibTorch

/// Where a tensor's memory is and its operators run.
public enum Device: Sendable, Hashable, CustomStringConvertible {
    case cpu
    case cuda(Int)
    case mps
    /// For tests: ordinary memory that is kept apart as a GPU's is. Never chosen unless it is named.
    case simulated(Simulation)

    /// Parses `cpu`, `cuda`, `cuda:1` or `mps`, and for tests `simulated:cuda` and `simulated:mps`; nil for anything else.
    public init?(_ name: String) {
        switch name {
        case "cpu": self = .cpu
        case "mps": self = .mps
        case "cuda": self = .cuda(0)
        case "simulated:cuda": self = .simulated(.cuda)
        case "simulated:mps": self = .simulated(.mps)
        default:
            guard name.hasPrefix("cuda:"), let index = Int(name.dropFirst(5)), index >= 0 else { return nil }
            self = .cuda(index)
        }
    }

    public var description: String {
        switch self {
        case .cpu: "cpu"
        case .cuda(let index): "cuda:\(index)"
        case .mps: "mps"
        case .simulated(let simulation): "simulated:\(simulation.rawValue)"
        }
    }

    /// Type and index as the running library counts them.
    var codes: (type: Int32, index: Int32) {
        switch self {
        case .cpu, .simulated: (clibtorch_device_code("cpu"), 0)
        case .cuda(let index): (clibtorch_device_code("cuda"), Int32(clamping: index))
        case .mps: (clibtorch_device_code("mps"), 0)
        }
    }

    init?(type: Int32, index: Int32) {
        if type == clibtorch_device_code("cpu") {
            self = .cpu
        } else if type == clibtorch_device_code("cuda") {
            self = .cuda(Int(max(index, 0)))
        } else if type == clibtorch_device_code("mps") {
            self = .mps
        } else {
            return nil
        }
    }

    /// Free and total bytes of the device's own memory; nil for the CPU and where it cannot be asked.
    public func memory() -> (free: Int, total: Int)? {
        guard case .cuda(let index) = self, (try? Engine.loadCUDA()) != nil else { return nil }
        var free = 0
        var total = 0
        guard clibtorch_cuda_memory(Int32(clamping: index), &free, &total) == 0 else { return nil }
        return (free, total)
    }

    /// A GPU's compute capability, (9, 0) for an H100; nil for other devices and where it cannot be asked. Takes nothing of the device.
    public var computeCapability: (major: Int, minor: Int)? {
        guard case .cuda(let index) = self, (try? Engine.loadCUDA()) != nil else { return nil }
        // cudaDevAttrComputeCapabilityMajor and -Minor.
        func attribute(_ number: Int32) -> Int? {
            var value: Int32 = 0
            return clibtorch_cuda_attribute(Int32(clamping: index), number, &value) == 0 ? Int(value) : nil
        }
        guard let major = attribute(75), let minor = attribute(76) else { return nil }
        return (major, minor)
    }

    /// A GPU's name and its memory in bytes; nil for other devices and where it cannot be asked. Takes nothing of the device.
    public var hardware: (name: String, memory: Int)? {
        guard case .cuda(let index) = self, (try? Engine.loadCUDA()) != nil else { return nil }
        var name = [CChar](repeating: 0, count: 256)
        var memory = 0
        guard clibtorch_cuda_describe(Int32(clamping: index), &name, name.count, &memory) == 0 else { return nil }
        return (String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self), memory)
    }

    /// Waits until the device has done everything it was given. Needed for honest timing on a GPU, nowhere else.
    public func synchronize() {
        if case .cuda(let index) = self { _ = clibtorch_cuda_synchronize(Int32(clamping: index)) }
    }

    /// The type that networks run in on this device, by what its hardware computes quickly: bfloat16 on a GPU and on a CPU with
    /// AVX512-BF16 or AMX, float16 on a GPU before compute capability 8.0, float32 on any other CPU (with AVX2 only, bfloat16 convolutions are
    /// 11 to 60 times slower than float32).
    public var runningType: DType {
        switch self {
        case .cuda: Self.runningType(computeCapability: computeCapability?.major)
        case .mps, .simulated: .bfloat16
        case .cpu: Processor.current.hasFastBFloat16 ? .bfloat16 : .float32
        }
    }

    /// Of a GPU: before Ampere bfloat16 is emulated or refused.
    static func runningType(computeCapability major: Int?) -> DType {
        major.map { $0 < 8 } ?? false ? .float16 : .bfloat16
    }
}
