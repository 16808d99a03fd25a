// A device for tests on machines without a GPU. Its tensors lie in ordinary memory and the CPU computes them, but they carry a device of their
// own: what would fail on a GPU because a tensor was left on the host fails here, and what would wait for a GPU is counted (`DeviceTraffic`).

extension Device {
    /// The device that a simulated one stands in for.
    public enum Simulation: String, Sendable, Hashable, CaseIterable {
        /// Whatever the CPU can compute.
        case cuda
        /// Without the types and the poolings that Apple's GPUs lack.
        case mps
    }

    var simulation: Simulation? {
        if case .simulated(let simulation) = self { simulation } else { nil }
    }

    /// Whether it is a GPU that computes with CUDA, or stands in for one.
    public var isCUDA: Bool {
        if case .cuda = self { true } else { simulation == .cuda }
    }

    /// Whether it is one of Apple's GPUs.
    var isMetal: Bool { self == .mps || simulation == .mps }

    /// Whether the device has numbers of 64 bits; Apple's GPUs do not.
    public var hasFloat64: Bool { !isMetal }

    /// Whether tensors of a type can be on the device.
    func has(_ type: DType) -> Bool {
        switch type {
        case .float64, .complex128, .uint64, .uint32, .uint16: hasFloat64
        default: true
        }
    }
}

/// Where an operator runs, by the devices of its arguments and PyTorch's rules.
enum Placement {
    /// Operators of several operands, of which one without dimensions may be on the CPU: it becomes an argument of the kernel.
    private static let takesNumbers: Set = [
        "aten::sub", "aten::mul", "aten::mul_", "aten::div", "aten::pow", "aten::gt", "aten::eq", "aten::minimum",
        "aten::maximum",
        "aten::fill_", "aten::where",
    ]
    /// Operators that wait for the device, because what they do next depends on their numbers.
    private static let waits: Set = ["aten::linalg_svd", "aten::linalg_svdvals", "aten::linalg_qr"]

    /// The simulated device that the operator runs on; nil for the others, about which the engine knows all.
    /// - Throws: what PyTorch throws for tensors of several devices.
    static func of(_ name: StaticString, _ arguments: [Argument]) throws(TensorError) -> Device.Simulation? {
        guard arguments.contains(where: { $0.tensors.contains { $0.reference.simulation != nil } }) else { return nil }
        return try simulated("\(name)", arguments)
    }

    private static func simulated(_ name: String, _ arguments: [Argument]) throws(TensorError) -> Device.Simulation? {
        var operands = arguments.flatMap(\.tensors)
        if name == "aten::copy_" { return copied(from: operands[1], to: operands[0]) }
        if name.hasPrefix("aten::_foreach_addcmul") {
            // Its factors are numbers in a tensor of the host's.
            let factors = operands.removeLast()
            guard factors.device == .cpu else {
                throw .operation(name: name, message: "Expected scalars to be on CPU, got \(factors.device) instead.")
            }
        }
        // What is changed in place stays where it is.
        let target = name.hasSuffix("_") ? operands[0].device : nil
        let (numbers, others) = takesNumbers.contains(name) ? split(operands, isInPlace: target != nil) : ([], operands)
        let devices = others.map(\.device)
        let device = target ?? devices[0]
        if let other = devices.first(where: { $0 != device }) {
            throw .operation(
                name: name,
                message:
                    "Expected all tensors to be on the same device, but found at least two devices, \(device) and \(other)!"
            )
        }
        // A number in `where` is copied first; elsewhere it is an argument of the kernel.
        if name == "aten::where" { for number in numbers { DeviceTraffic.count(.up, of: number) } }
        if waits.contains(name) { DeviceTraffic.count(.operation, name) }
        if device == .simulated(.mps) { try refuse(name, arguments, numbers) }
        return device.simulation
    }

    /// Numbers without dimensions on the CPU, and the other operands.
    private static func split(_ operands: [Tensor], isInPlace: Bool) -> (numbers: [Tensor], others: [Tensor]) {
        var (numbers, others): ([Tensor], [Tensor]) = ([], [])
        for (index, operand) in operands.enumerated() {
            let isNumber = operand.rank == 0 && operand.device == .cpu && !(isInPlace && index == 0)
            if isNumber { numbers.append(operand) } else { others.append(operand) }
        }
        return (numbers, others)
    }

    /// `copy_` is the one operator that crosses from device to device.
    private static func copied(from source: Tensor, to target: Tensor) -> Device.Simulation? {
        if source.device != target.device {
            if source.reference.simulation != nil { DeviceTraffic.count(.down, of: source) }
            if target.reference.simulation != nil { DeviceTraffic.count(.up, of: source) }
        }
        return target.reference.simulation
    }

    /// What PyTorch's operators refuse on Apple's GPUs.
    private static func refuse(_ name: String, _ arguments: [Argument], _ numbers: [Tensor]) throws(TensorError) {
        for case .dtype(let type) in arguments.map(\.unwrapped) { try requireType(type, on: .simulated(.mps)) }
        if name != "aten::fill_" { for number in numbers { try requireType(number.dtype, on: .simulated(.mps)) } }
        if name == "aten::_adaptive_avg_pool2d", case .tensor(let x) = arguments[0],
            case .ints(let sizes) = arguments[1],
            !x.size(-2).isMultiple(of: sizes[0]) || !x.size(-1).isMultiple(of: sizes[1])
        {
            throw .operation(
                name: name, message: "Adaptive pool MPS: input sizes must be divisible by output sizes.")
        }
    }

    static func requireType(_ type: DType, on device: Device) throws(TensorError) {
        guard device.simulation == nil || device.has(type) else {
            throw .operation(
                name: "aten::to",
                message:
                    "Cannot convert a MPS Tensor to \(type.rawValue) dtype as the MPS framework doesn't support \(type.rawValue)."
            )
        }
    }
}

extension Tensor {
    /// A copy on another device, one of the two being simulated.
    func crossed(to device: Device) throws(TensorError) -> Tensor {
        // By way of ordinary memory, as between two GPUs that cannot see each other.
        if device != .cpu, self.device != .cpu { return try crossed(to: .cpu).to(device) }
        try Placement.requireType(dtype, on: device)
        DeviceTraffic.count(device == .cpu ? .down : .up, of: self)
        let words = try Self.invoke("aten::clone", "", [.tensor(self), .none], results: 1)
        return Tensor(owning: words[0], on: device.simulation)
    }
}
