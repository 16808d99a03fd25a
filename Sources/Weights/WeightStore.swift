import Foundation
import TensorKit

/// The weights of one network, wherever they lie: one file, shards with an index, or a component's folder.
///
///     let weights = try WeightStore(at: folder, variant: "fp16")
///     let unet = try weights.build(dtype: .bfloat16) { try UNet($0) }
///
/// Opening reads the headers of all files and nothing else; tensors are used where they lie in the mapped files.
public final class WeightStore: Sendable {
    /// The file, index or folder that was opened.
    public let url: URL
    /// The files that hold the tensors.
    public let files: [SafetensorsFile]
    /// The names of all tensors, in order.
    public let keys: [String]

    /// Where a tensor lies, and under which name.
    struct Place: Sendable {
        let file: SafetensorsFile
        /// The tensor as it is read, which may be a part of what `name` is in the file.
        var entry: SafetensorsFile.Entry
        let name: String
        /// Whether it is handed out with its two dimensions exchanged.
        var isTransposed = false

        var shape: [Int] { isTransposed ? entry.shape.reversed() : entry.shape }
    }

    private let places: [String: Place]
    private let ledger = WeightLedger(collects: false)

    /// Opens a `.safetensors` file, a `.safetensors.index.json`, or a folder with the weights of one component.
    /// - Parameter variant: Which of several sets in a folder to prefer, for example "fp16"; where it is not there, or none is named,
    ///   the weights without a variant are taken, else those of the first variant there is.
    public convenience init(at url: URL, variant: String? = nil) throws(WeightsError) {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
            throw .noSuchFile(path: url.path)
        }
        if isFolder.boolValue {
            switch try ComponentWeights.find(in: url, variant: variant) {
            case .file(let file): try self.init(url, file: file)
            case .index(let index): try self.init(url, index: index)
            }
        } else if url.pathExtension == "safetensors" {
            try self.init(url, file: url)
        } else if url.pathExtension == "json" {
            try self.init(url, index: url)
        } else {
            throw ComponentWeights.isPickle(url.lastPathComponent)
                ? .pickleOnly(path: url.path) : .notWeights(path: url.path)
        }
    }

    private convenience init(_ url: URL, file: URL) throws(WeightsError) {
        let file = try Self.open(file)
        var places: [String: Place] = [:]
        for (name, entry) in file.entries { places[name] = Place(file: file, entry: entry, name: name) }
        self.init(url, files: [file], places: places)
    }

    init(_ url: URL, files: [SafetensorsFile], places: [String: Place]) {
        self.url = url
        self.files = files
        keys = places.keys.sorted()
        self.places = places
    }

    private convenience init(_ url: URL, index: URL) throws(WeightsError) {
        let shards = try ShardIndex(at: index).shards
        let folder = index.deletingLastPathComponent()
        var opened: [String: SafetensorsFile] = [:]
        for name in Set(shards.values).sorted() {
            let shard = folder.appendingPathComponent(name)
            guard FileManager.default.fileExists(atPath: shard.path) else {
                throw .shardMissing(index: index.path, shard: name)
            }
            opened[name] = try Self.open(shard)
        }
        var places: [String: Place] = [:]
        for (key, name) in shards.sorted(by: { $0.key < $1.key }) {
            guard let file = opened[name], let entry = file.entries[key] else {
                throw .shardLacksKey(index: index.path, shard: name, key: key)
            }
            places[key] = Place(file: file, entry: entry, name: key)
        }
        self.init(url, files: opened.sorted { $0.key < $1.key }.map(\.value), places: places)
    }

    private static func open(_ url: URL) throws(WeightsError) -> SafetensorsFile {
        do throws(SafetensorsError) {
            return try SafetensorsFile(at: url)
        } catch {
            throw .file(error)
        }
    }

    // MARK: Asking

    /// Whether there is a tensor `key`.
    public func contains(_ key: String) -> Bool { places[key] != nil }

    /// The shape of `key`, nil where there is no such tensor. Does not count as use.
    public func shape(of key: String) -> [Int]? { places[key]?.shape }

    /// The type, shape and place of `key`, as it lies in its file.
    public func entry(_ key: String) -> SafetensorsFile.Entry? { places[key]?.entry }

    /// The tensor `key`, over the mapped file, which must have the shape `shape` if one is given. Counts as use.
    public func tensor(_ key: String, _ shape: [Int]? = nil) throws(WeightsError) -> Tensor {
        try tensor(key, shape, ledger)
    }

    /// All keys, with the record that `finish` looks at.
    public var root: WeightScope { WeightScope(store: self, ledger: ledger, prefix: "") }

    /// The tensors below `name`.
    public subscript(name: String) -> WeightScope { root[name] }

    /// Throws unless every tensor was asked for and none was missing or misshapen, naming all that were not, in one error.
    /// - Parameter ignored: Keys that may stay unused, or names with everything below them: "encoder" stands for "encoder.conv_in.weight" too.
    public func finish(ignoring ignored: [String] = []) throws(WeightsError) {
        let misfit = ledger.misfit(keys: keys, ignoring: ignored)
        if !misfit.isEmpty { throw .doNotFit(path: url.path, misfit) }
    }

    /// Builds a network from these weights and checks that the two fit.
    ///
    /// Inside `body` a tensor that is missing or has another shape is noted and stands as zeros, so that one error can name them
    /// all; that error, or one for tensors nobody asked for, is thrown when `body` returns.
    /// - Parameters:
    ///   - dtype: Floating-point tensors are converted to this type; nil keeps the file's.
    ///   - format: How tensors of four dimensions, the weights of convolutions, lie in memory.
    ///   - isExact: As `WeightScope` has it.
    ///   - ignored: As for `finish`.
    public func build<Network>(
        dtype: DType? = nil, device: Device = .cpu, format: MemoryFormat = .contiguous, isExact: Bool = false,
        ignoring ignored: [String] = [],
        _ body: (WeightScope) throws -> Network
    ) throws -> Network {
        let ledger = WeightLedger(collects: true)
        let network: Network
        do {
            network = try body(
                WeightScope(
                    store: self, ledger: ledger, prefix: "", dtype: dtype, device: device, format: format,
                    isExact: isExact))
        } catch {
            // Zeros in place of weights may be what `body` stumbled over; then what is missing says more.
            let misfit = ledger.misfit(keys: [], ignoring: [])
            throw misfit.isEmpty ? error : WeightsError.doNotFit(path: url.path, misfit)
        }
        let misfit = ledger.misfit(keys: keys, ignoring: ignored)
        if !misfit.isEmpty { throw WeightsError.doNotFit(path: url.path, misfit) }
        return network
    }

    /// The names and shapes of all tensors that `body` asks for, as it does when it builds a network: the list that a checkpoint of that
    /// network must have. There is no file, and what `body` gets is zeros that take no memory, whatever type and place it asks for.
    public static func inventory<Network>(_ body: (WeightScope) throws -> Network) throws -> [String: [Int]] {
        let store = WeightStore(URL(fileURLWithPath: "/"), files: [], places: [:])
        let ledger = WeightLedger(collects: true)
        _ = try body(WeightScope(store: store, ledger: ledger, prefix: ""))
        return ledger.missingShapes
    }

    func tensor(_ key: String, _ shape: [Int]?, _ ledger: WeightLedger) throws(WeightsError) -> Tensor {
        guard let place = places[key] else {
            ledger.isMissing(key, shape)
            guard ledger.collects, let shape else { throw .missingKey(path: url.path, key: key) }
            return try making(key) { try Tensor.zeros([]).expanded(shape) }
        }
        ledger.isUsed(key)
        let found = place.shape
        if let shape, shape != found {
            ledger.isMisshapen(key, expected: shape, found: found)
            guard ledger.collects else { throw .wrongShape(path: url.path, key: key, expected: shape, found: found) }
            return try making(key) { try Tensor.zeros([]).expanded(shape) }
        }
        return try making(key) {
            let tensor = try place.file.tensor(place.entry, named: place.name)
            return place.isTransposed ? try tensor.transposed(0, 1) : tensor
        }
    }

    /// Takes the file's bytes of `key` out of this process's memory until they are read again.
    func leave(_ key: String) {
        if let place = places[key] { place.file.leave(place.entry) }
    }

    /// Calls `body` and gives its errors the type of this room.
    func making(_ key: String, _ body: () throws -> Tensor) throws(WeightsError) -> Tensor {
        do {
            return try body()
        } catch let error as SafetensorsError {
            throw .file(error)
        } catch let error as TensorError {
            throw .tensor(path: url.path, key: key, error)
        } catch {
            throw .tensor(path: url.path, key: key, .invalidArgument("\(error)"))
        }
    }
}
