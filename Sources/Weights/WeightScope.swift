import TensorKit

/// The tensors of a store whose names begin with a common prefix, so that each layer need only know its own.
///
///     let block = weights["down_blocks.0"]["resnets.1"]
///     let weight = try block["conv1"].tensor("weight", [320, 320, 3, 3])
public struct WeightScope: Sendable {
    let store: WeightStore
    let ledger: WeightLedger
    let prefix: String
    /// The type that floating-point tensors are converted to; nil keeps the file's.
    public internal(set) var dtype: DType?
    var device: Device = .cpu
    /// How the tensors of four dimensions (weights of convolutions) lie in memory.
    public internal(set) var format = MemoryFormat.contiguous
    /// Whether layers of these weights compute as exactly as their type, where a GPU would round float32 more coarsely (TF32).
    public internal(set) var isExact = false

    /// Whether tensors are placeholders that only say which shapes a network asks for.
    public var isInventory: Bool { store.files.isEmpty }

    /// The scope's name: "down_blocks.0.resnets.1"; empty at the root.
    public var name: String { String(prefix.dropLast()) }

    /// The tensors below `name`. O(1): nothing is looked up.
    public subscript(name: String) -> WeightScope {
        WeightScope(
            store: store, ledger: ledger, prefix: "\(prefix)\(name).", dtype: dtype, device: device, format: format,
            isExact: isExact)
    }

    /// The tensors below the number `index`.
    public subscript(index: Int) -> WeightScope { self["\(index)"] }

    /// The names of all tensors of the scope, without its prefix. Cost: a walk over all keys of the store.
    public var keys: [String] {
        store.keys.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }

    /// Whether there is a tensor `key` in the scope.
    public func contains(_ key: String) -> Bool { store.contains(prefix + key) }

    /// The shape of `key`, nil where there is no such tensor. Does not count as use.
    public func shape(of key: String) -> [Int]? { store.shape(of: prefix + key) }

    /// The tensor `key`, which must have the shape `shape` if one is given. Counts as use.
    ///
    /// Over the mapped file, unless the scope's type, device or format is another; then it is converted, floating-point tensors only.
    public func tensor(_ key: String, _ shape: [Int]? = nil) throws(WeightsError) -> Tensor {
        let tensor = try store.tensor(prefix + key, shape, ledger)
        // An inventory: zeros that are made whole would be as large as the network.
        if isInventory { return tensor }
        let result = try store.making(prefix + key) {
            let converted = tensor.dtype.isFloatingPoint ? try tensor.to(dtype ?? tensor.dtype) : tensor
            let moved = try converted.to(device)
            return moved.rank == 4 ? try moved.contiguous(format) : moved
        }
        // A copy: the mapped pages would count as a second one.
        let isCopy = result.dtype != tensor.dtype || result.device != tensor.device || result.strides != tensor.strides
        if isCopy { store.leave(prefix + key) }
        return result
    }

    /// The same tensors, converted to `dtype` (floating-point tensors only; nil keeps the file's) and moved to `device` when asked for.
    public func converted(to dtype: DType?, on device: Device = .cpu, isExact: Bool = false) -> WeightScope {
        WeightScope(
            store: store, ledger: ledger, prefix: prefix, dtype: dtype, device: device, format: format, isExact: isExact
        )
    }
}
