import CLibTorch

extension Tensor {
    /// A tensor whose elements are not set.
    public static func empty(
        _ shape: [Int], dtype: DType = .float32, device: Device = .cpu, format: MemoryFormat = .contiguous
    ) throws(TensorError) -> Tensor {
        _ = try Engine.load()
        if case .cuda = device { try Engine.loadCUDA() }
        try Placement.requireType(dtype, on: device)
        guard shape.allSatisfy({ $0 >= 0 }) else { throw .invalidArgument("A tensor cannot have the shape \(shape).") }
        var strides = [Int64](repeating: 1, count: shape.count)
        // From the fastest dimension to the slowest.
        let order = format == .channelsLast && shape.count == 4 ? [1, 3, 2, 0] : Array((0..<shape.count).reversed())
        var step: Int64 = 1
        for dimension in order {
            strides[dimension] = step
            let (product, overflow) = step.multipliedReportingOverflow(by: Int64(max(shape[dimension], 1)))
            guard !overflow else { throw .invalidArgument("A tensor of the shape \(shape) has too many elements.") }
            step = product
        }
        let (type, index) = device.codes
        var result: clibtorch_tensor?
        let status = clibtorch_tensor_empty(
            Int64(shape.count), shape.map(Int64.init), strides, dtype.code, type, index, &result)
        guard status == 0, let result else { throw failure("empty") }
        return Tensor(owning: result, on: device.simulation)
    }

    /// A tensor of zeros.
    public static func zeros(
        _ shape: [Int], dtype: DType = .float32, device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        let result = try empty(shape, dtype: dtype, device: device)
        try result.dispatchInPlace("aten::zero_")
        return result
    }

    /// A tensor with the same value everywhere.
    public static func full(
        _ shape: [Int], _ value: Double, dtype: DType = .float32, device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        let result = try empty(shape, dtype: dtype, device: device)
        try result.dispatchInPlace("aten::fill_", "Tensor", .tensor(scalar(value)))
        return result
    }

    /// A tensor of ones.
    public static func ones(
        _ shape: [Int], dtype: DType = .float32, device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        try full(shape, 1, dtype: dtype, device: device)
    }

    /// A number as a tensor without dimensions. As an operand it takes the other operand's type and device.
    public static func scalar(_ value: Double) throws(TensorError) -> Tensor {
        _ = try Engine.load()
        var result: clibtorch_tensor?
        guard clibtorch_tensor_scalar(value, &result) == 0, let result else { throw failure("scalar") }
        return Tensor(owning: result, on: nil)
    }

    /// A copy of `values` in row-major order.
    /// - Throws: `invalidArgument` when the number of values is not the product of the shape.
    public init<Element: TensorElement>(_ values: [Element], shape: [Int], device: Device = .cpu) throws(TensorError) {
        guard values.count == shape.reduce(1, *) else {
            throw .invalidArgument("\(values.count) values cannot fill a tensor of the shape \(shape).")
        }
        let result = try Tensor.empty(shape, dtype: Element.dtype)
        let target = try result.dataPointer()
        values.withUnsafeBytes { bytes in
            if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: bytes.count) }
        }
        self = try result.to(device)
    }

    /// The numbers 0, 1 ... count - 1.
    public static func arange(
        _ count: Int, dtype: DType = .float32, device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        try Tensor((0..<count).map(Double.init), shape: [count]).to(dtype).to(device)
    }

    /// A CPU tensor over memory that `owner` keeps alive: nothing is copied (before PyTorch 2.11, which has no way to say when the
    /// memory is free again, it is copied). The memory must not change and is never written.
    /// - Parameter pointer: `shape`'s product times the type's size bytes in row-major order, aligned for the type.
    public init(
        borrowing pointer: UnsafeRawPointer, shape: [Int], dtype: DType, owner: AnyObject & Sendable
    ) throws(TensorError) {
        _ = try Engine.load()
        guard clibtorch_can_borrow() else {
            let copy = try Tensor.empty(shape, dtype: dtype)
            try copy.dataPointer().copyMemory(from: pointer, byteCount: copy.count * dtype.byteCount)
            self = copy
            return
        }
        var strides = [Int64](repeating: 1, count: shape.count)
        for dimension in stride(from: shape.count - 2, through: 0, by: -1) {
            strides[dimension] = strides[dimension + 1] * Int64(max(shape[dimension + 1], 1))
        }
        var result: clibtorch_tensor?
        let context = Unmanaged.passRetained(owner)
        let status = clibtorch_tensor_borrow(
            UnsafeMutableRawPointer(mutating: pointer), Int64(shape.count), shape.map(Int64.init), strides, dtype.code,
            { _, context in context.map { Unmanaged<AnyObject>.fromOpaque($0).release() } },
            context.toOpaque(), &result)
        guard status == 0, let result else {
            context.release()
            throw Self.failure("borrow")
        }
        self.init(owning: result, storage: TensorStorage(isReadOnly: true), on: nil)
    }

    // MARK: Out again

    /// The elements in row-major order, converted to `Element`. Waits for the device.
    public func array<Element: TensorElement>(of type: Element.Type = Element.self) throws(TensorError) -> [Element] {
        // What crosses is the smaller of the two types, or the one that the device has.
        let isSmaller = Element.dtype.byteCount < dtype.byteCount && device.has(Element.dtype)
        let crossing = try isSmaller ? to(Element.dtype).to(.cpu) : to(Device.cpu)
        let source = try crossing.to(Element.dtype).contiguous()
        let pointer = try source.dataPointer()
        let count = source.count
        return withExtendedLifetime(source) {
            [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
                initialized = count
                guard let target = buffer.baseAddress, count > 0 else { return }
                UnsafeMutableRawPointer(target).copyMemory(
                    from: pointer, byteCount: count * MemoryLayout<Element>.stride)
            }
        }
    }

    /// Numbers without dimensions, of one device, that are read together: it waits for the device once.
    public static func numbers(_ tensors: [Tensor]) throws(TensorError) -> [Double] {
        var result = [Double](repeating: 0, count: tensors.count)
        guard let first = tensors.first else { return result }
        let common: DType = first.device.hasFloat64 ? .float64 : .float32
        // One conversion for all of a type.
        let groups = Dictionary(grouping: tensors.indices) { tensors[$0].dtype }.sorted { $0.value[0] < $1.value[0] }
        var parts: [Tensor] = []
        for (_, indices) in groups { parts.append(try stack(indices.map { tensors[$0] }).to(common)) }
        let values = try concatenate(parts, along: 0).array(of: Double.self)
        for (index, value) in zip(groups.flatMap(\.value), values) { result[index] = value }
        return result
    }

    /// The only element. Waits for the device.
    /// - Throws: `invalidArgument` when there is more or less than one.
    public func item() throws(TensorError) -> Double {
        guard count == 1 else { throw .invalidArgument("A tensor of the shape \(shape) is not a single number.") }
        return try array(of: Double.self)[0]
    }

    /// Calls `body` with the elements' bytes in row-major order, without a copy where they lie so on the CPU already.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
        let source = try to(Device.cpu).contiguous()
        let pointer = try source.dataPointer()
        return try withExtendedLifetime(source) {
            try body(UnsafeRawBufferPointer(start: pointer, count: source.count * source.dtype.byteCount))
        }
    }

    func dataPointer() throws(TensorError) -> UnsafeMutableRawPointer {
        if let simulation = reference.simulation {
            throw .operation(
                name: "data pointer", message: "The memory of simulated:\(simulation.rawValue) is not the host's.")
        }
        var pointer: UnsafeMutableRawPointer?
        guard clibtorch_tensor_data(handle, &pointer) == 0 else { throw Self.failure("data pointer") }
        // A tensor without elements has no memory; nobody reads or writes through this.
        return pointer ?? UnsafeMutableRawPointer(bitPattern: 64)!
    }

    // MARK: Type, device and layout

    /// The same values as `dtype`; the tensor itself when it has that type.
    public func to(_ dtype: DType) throws(TensorError) -> Tensor {
        if dtype == self.dtype { return self }
        return try view("aten::to", "dtype", .dtype(dtype), .bool(false), .bool(false), .none)
    }

    /// The same values on `device`; the tensor itself when it is there.
    public func to(_ device: Device) throws(TensorError) -> Tensor {
        let here = self.device
        if device == here { return self }
        if device.simulation != nil || here.simulation != nil { return try crossed(to: device) }
        if case .cuda = device { try Engine.loadCUDA() }
        return try view(
            "aten::to", "dtype_layout", .none, .none, .some(.device(device)), .none, .bool(false), .bool(false), .none)
    }

    /// The same values in row-major order (or channels last, for four dimensions); the tensor itself when it lies so.
    public func contiguous(_ format: MemoryFormat = .contiguous) throws(TensorError) -> Tensor {
        try view("aten::contiguous", "", .memoryFormat(format))
    }

    /// A copy in memory of its own, in the same layout.
    public func copied() throws(TensorError) -> Tensor { try Tensor.dispatch("aten::clone", "", .tensor(self), .none) }
}
