import CLibTorch

/// One argument of an operator, by the type in its schema. The dispatcher wants every argument of the schema, defaults too.
/// (The stable ABI has no arguments of type Scalar: operators that take one are reached through their tensor overloads.)
enum Argument {
    case tensor(Tensor)
    case tensors([Tensor])
    case int(Int)
    case bool(Bool)
    case double(Double)
    case string(String)
    case ints([Int])
    case dtype(DType)
    case memoryFormat(MemoryFormat)
    case device(Device)
    /// An optional that is present.
    indirect case some(Argument)
    /// An optional that is absent.
    case none

    static func optional(_ tensor: Tensor?) -> Argument { tensor.map { .some(.tensor($0)) } ?? .none }
    static func optional(_ value: Double?) -> Argument { value.map { .some(.double($0)) } ?? .none }
    static func optional(_ type: DType?) -> Argument { type.map { .some(.dtype($0)) } ?? .none }

    /// The argument, or what is in an optional.
    var unwrapped: Argument {
        if case .some(let wrapped) = self { wrapped.unwrapped } else { self }
    }

    var tensors: [Tensor] {
        switch unwrapped {
        case .tensor(let tensor): [tensor]
        case .tensors(let tensors): tensors
        default: []
        }
    }

    /// The word that goes on the stack; the callee takes what it owns.
    fileprivate func word() throws(TensorError) -> clibtorch_value {
        switch self {
        case .tensor(let tensor): return try tensor.retainedWord()
        case .tensors(let tensors):
            var words: [clibtorch_value] = []
            for tensor in tensors { words.append(try tensor.retainedWord()) }
            return try Self.list(words)
        case .int(let value): return clibtorch_value(bitPattern: Int64(value))
        case .bool(let value): return value ? 1 : 0
        case .double(let value): return value.bitPattern
        case .string(let value):
            var handle: clibtorch_string?
            var text = value
            let status = text.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) { clibtorch_string_new($0.baseAddress, $0.count, &handle) }
            }
            guard status == 0 else { throw Tensor.failure("string argument") }
            return clibtorch_value(UInt(bitPattern: handle))
        case .ints(let values): return try Self.list(values.map { clibtorch_value(bitPattern: Int64($0)) })
        case .dtype(let type): return clibtorch_value(bitPattern: Int64(type.code))
        case .memoryFormat(let format): return clibtorch_value(bitPattern: Int64(format.code))
        case .device(let device):
            let (type, index) = device.codes
            return clibtorch_value(UInt32(bitPattern: type)) << 32 | clibtorch_value(UInt32(bitPattern: index))
        case .some(let wrapped):
            var result: clibtorch_value = 0
            guard clibtorch_optional_new(try wrapped.word(), &result) == 0 else {
                throw Tensor.failure("optional argument")
            }
            return result
        case .none: return 0
        }
    }

    private static func list(_ words: [clibtorch_value]) throws(TensorError) -> clibtorch_value {
        var list: clibtorch_list?
        guard clibtorch_list_new(words.count, &list) == 0, let list else { throw Tensor.failure("list argument") }
        for word in words {
            guard clibtorch_list_append(list, word) == 0 else { throw Tensor.failure("list argument") }
        }
        return clibtorch_value(UInt(bitPattern: list))
    }
}

extension Tensor {
    /// Calls an ATen operator and returns its results' words. Cost: about 2 microseconds beside the operator's own.
    private static func call(
        _ name: StaticString, _ overload: StaticString, _ arguments: [Argument], results: Int
    ) throws(TensorError) -> (words: [clibtorch_value], simulation: Device.Simulation?) {
        let simulation = try Placement.of(name, arguments)
        return (try invoke(name, overload, arguments, results: results), simulation)
    }

    /// `call` without a look at simulated devices.
    static func invoke(
        _ name: StaticString, _ overload: StaticString, _ arguments: [Argument], results: Int
    ) throws(TensorError) -> [clibtorch_value] {
        var stack = [clibtorch_value](repeating: 0, count: max(arguments.count, results))
        for (index, argument) in arguments.enumerated() { stack[index] = try argument.word() }
        let status = name.withUTF8Buffer { name in
            overload.withUTF8Buffer { overload in
                name.withMemoryRebound(to: CChar.self) { name in
                    overload.withMemoryRebound(to: CChar.self) { overload in
                        // A StaticString is followed by a zero byte.
                        clibtorch_call(name.baseAddress, overload.baseAddress, &stack)
                    }
                }
            }
        }
        guard status == 0 else { throw failure("\(name)") }
        return stack
    }

    /// An operator with one tensor as its result, in memory of its own.
    static func dispatch(
        _ name: StaticString, _ overload: StaticString = "", _ arguments: Argument...
    ) throws(TensorError) -> Tensor {
        let (words, simulation) = try call(name, overload, arguments, results: 1)
        return Tensor(owning: words[0], on: simulation)
    }

    /// An operator with two tensors as its results, in memory of their own.
    static func dispatchPair(
        _ name: StaticString, _ overload: StaticString = "", _ arguments: Argument...
    ) throws(TensorError) -> (Tensor, Tensor) {
        let (words, simulation) = try call(name, overload, arguments, results: 2)
        return (Tensor(owning: words[0], on: simulation), Tensor(owning: words[1], on: simulation))
    }

    /// An operator with three tensors as its results, in memory of their own.
    static func dispatchTriple(
        _ name: StaticString, _ overload: StaticString = "", _ arguments: Argument...
    ) throws(TensorError) -> (Tensor, Tensor, Tensor) {
        let (words, simulation) = try call(name, overload, arguments, results: 3)
        return (
            Tensor(owning: words[0], on: simulation), Tensor(owning: words[1], on: simulation),
            Tensor(owning: words[2], on: simulation)
        )
    }

    /// An operator over lists whose result is a list of one tensor, in memory of its own.
    static func dispatchSingle(
        _ name: StaticString, _ overload: StaticString = "", _ arguments: Argument...
    ) throws(TensorError) -> Tensor {
        let (words, simulation) = try call(name, overload, arguments, results: 1)
        let list = UnsafeMutableRawPointer(bitPattern: UInt(words[0]))
        defer { clibtorch_list_release(list) }
        var word: clibtorch_value = 0
        guard clibtorch_list_get(list, 0, &word) == 0 else { throw failure("\(name)") }
        return Tensor(owning: word, on: simulation)
    }

    /// An operator that answers yes or no.
    static func dispatchFlag(
        _ name: StaticString, _ overload: StaticString = "", _ arguments: Argument...
    ) throws(TensorError) -> Bool {
        try call(name, overload, arguments, results: 1).words[0] & 1 == 1
    }

    /// An operator whose result may share memory with `self`, its first argument.
    func view(
        _ name: StaticString, _ overload: StaticString = "", _ arguments: Argument...
    ) throws(TensorError) -> Tensor {
        let (words, simulation) = try Self.call(name, overload, [.tensor(self)] + arguments, results: 1)
        return Tensor(owning: words[0], storage: reference.storage, on: simulation)
    }

    /// An operator that changes its first argument in place. Only for tensors whose memory nobody else sees.
    func dispatchInPlace(
        _ name: StaticString, _ overload: StaticString = "", _ arguments: Argument...
    ) throws(TensorError) {
        let words = try Self.call(name, overload, [.tensor(self)] + arguments, results: 1).words
        // The result is a second reference to the same tensor.
        clibtorch_tensor_release(UnsafeMutableRawPointer(bitPattern: UInt(words[0])))
    }

    /// An operator without a result, which changes tensors of its arguments in place. Under the same condition.
    static func perform(
        _ name: StaticString, _ overload: StaticString = "", _ arguments: Argument...
    ) throws(TensorError) {
        _ = try call(name, overload, arguments, results: 0)
    }

    /// The error of the call that has just failed on this thread.
    static func failure(_ name: String) -> TensorError {
        guard let text = clibtorch_last_error() else {
            return .operation(
                name: name, message: "PyTorch printed the reason above (it hands it over from version 2.13 on)")
        }
        return .operation(name: name, message: String(cString: text))
    }
}
