import Foundation
import TensorKit

/// A whole model in one safetensors file: Stable Diffusion XL in the layout in which it was first published ("sgm").
///
///     let model = try SingleFileModel(at: url)
///     let unet = try model.weights(of: "unet")      // under diffusers' names, over the same mapped file
///
/// Nothing is converted or copied: a component's weights are a view of the file under other names. The few tensors that the two layouts
/// cut differently are views too: slices, transposes, and 1x1 convolutions as matrices.
public struct SingleFileModel: Sendable {
    public let file: SafetensorsFile
    /// The components that are in the file, by their names in diffusers' layout, in order.
    public let componentNames: [String]

    /// The path of the model.
    public var url: URL { file.url }

    /// What stands before the names of each component.
    private static let prefixes = [
        ("unet", unetPrefix), ("vae", "first_stage_model."), ("text_encoder", "conditioner.embedders.0.transformer."),
        ("text_encoder_2", "conditioner.embedders.1.model."),
    ]
    private static let unetPrefix = "model.diffusion_model."
    /// Residual blocks of a level of SDXL's U-Net, and which levels have transformers.
    private static let (unetLayers, unetAttention) = (2, [false, true, true])

    /// Opens the file at `url`: maps it and reads its header.
    /// - Throws: `WeightsError.otherCheckpoint` for every other kind of model, by its name where it is known.
    public init(at url: URL) throws(WeightsError) {
        let file = try openSafetensors(url)
        if let kind = Self.otherKind(file) { throw .otherCheckpoint(path: url.path, kind: kind) }
        self.file = file
        componentNames = Self.prefixes.filter { prefix in file.entries.keys.contains { $0.hasPrefix(prefix.1) } }.map(
            \.0)
    }

    /// The weights of the component `name` under diffusers' names; tensors that have none there keep the name they have here.
    public func weights(of name: String) throws(WeightsError) -> WeightStore {
        guard componentNames.contains(name), let prefix = Self.prefixes.first(where: { $0.0 == name })?.1 else {
            throw .noPart(path: url.path, part: name, present: componentNames)
        }
        let names = file.names.filter { $0.hasPrefix(prefix) }
        switch name {
        case "unet":
            return WeightStore(
                file, names, prefix: prefix, .unet(layers: Self.unetLayers, hasAttention: Self.unetAttention))
        case "vae": return Self.autoencoder(file, names, prefix: prefix)
        case "text_encoder":
            // A buffer of older versions of transformers, not a weight.
            let weights = names.filter { !$0.hasSuffix(".position_ids") }
            return WeightStore(file, weights, prefix: prefix, .clip)
        default:
            // The scale is that of the comparison with pictures.
            let weights = names.filter { $0 != prefix + "logit_scale" }
            let layers = blockNumbers(names, below: prefix + "transformer.resblocks.").count
            return WeightStore(file, weights, prefix: prefix, .openCLIP(layers: layers))
        }
    }

    /// The weights of an autoencoder from one file, under diffusers' names: of a whole model, of the autoencoder by itself in the original
    /// layout, or in diffusers' own.
    public static func autoencoder(at url: URL) throws(WeightsError) -> WeightStore {
        let file = try openSafetensors(url)
        for prefix in ["first_stage_model.", "vae.", ""] {
            let names = file.names.filter { name in
                // What training leaves in the file (the loss, averages) is not the network's.
                ["encoder.", "decoder.", "quant_conv.", "post_quant_conv."].contains { name.hasPrefix(prefix + $0) }
            }
            let isDiffusers = names.contains { $0.hasPrefix(prefix + "decoder.mid_block.") }
            if isDiffusers { return WeightStore(file, names, prefix: prefix, KeyRenaming()) }
            if names.contains(prefix + "decoder.conv_in.weight") { return autoencoder(file, names, prefix: prefix) }
        }
        throw .otherCheckpoint(path: url.path, kind: "a file without an autoencoder")
    }

    private static func autoencoder(_ file: SafetensorsFile, _ names: [String], prefix: String) -> WeightStore {
        let levels = blockNumbers(names, below: prefix + "encoder.down.").count
        let layers = blockNumbers(names, below: prefix + "encoder.down.0.block.").count
        return WeightStore(file, names, prefix: prefix, .autoencoder(levels: levels, layers: layers))
    }

    /// What the file is if it is not SDXL's base model, in words that follow "this is".
    private static func otherKind(_ file: SafetensorsFile) -> String? {
        func has(_ prefix: String) -> Bool { file.entries.keys.contains { $0.hasPrefix(prefix) } }
        guard let input = file.entries[unetPrefix + "input_blocks.0.0.weight"]?.shape else {
            if has("down_blocks.") || has("encoder.down_blocks.") { return "one network in diffusers' layout" }
            if has("decoder.conv_in.") || has("first_stage_model.decoder.") { return "an autoencoder by itself" }
            if has("lora_unet_") || has("lora_te") || has("unet.") { return "an addition to a model (LoRA)" }
            return "not a checkpoint of Stable Diffusion"
        }
        if has("conditioner.embedders.0.model.") { return "SDXL's refiner" }
        guard has(unetPrefix + "label_emb.0.0.weight") else {
            let context = file.entries.first { $0.key.hasPrefix(unetPrefix) && $0.key.hasSuffix("attn2.to_k.weight") }?
                .value.shape.last
            switch context {
            case 768: return "Stable Diffusion 1"
            case 1024: return "Stable Diffusion 2"
            default: return "a model of another structure"
            }
        }
        if file.entries["edm_mean"] != nil { return "Playground v2.5" }
        if file.entries["v_pred"] != nil { return "a model that predicts v, not the noise" }
        if input.count == 4, input[1] == 9 { return "a model for inpainting" }
        // The refiner is told four sizes and a score, and has a level more.
        if has(unetPrefix + "input_blocks.9.") { return "SDXL's refiner" }
        let attends = unetAttention.indices.map {
            has("\(unetPrefix)input_blocks.\($0 * (unetLayers + 1) + 1).1.norm.")
        }
        let halves = unetAttention.indices.dropLast().allSatisfy {
            has("\(unetPrefix)input_blocks.\(($0 + 1) * (unetLayers + 1)).0.op.")
        }
        return attends == unetAttention && halves ? nil : "a model of another structure"
    }
}

/// The numbers that follow `prefix` in `names`, in order.
private func blockNumbers(_ names: [String], below prefix: String) -> [Int] {
    Set(names.lazy.filter { $0.hasPrefix(prefix) }.compactMap { Int($0.dropFirst(prefix.count).prefix { $0 != "." }) })
        .sorted()
}

/// Opens a safetensors file, and refuses a pickle by its name.
private func openSafetensors(_ url: URL) throws(WeightsError) -> SafetensorsFile {
    guard FileManager.default.fileExists(atPath: url.path) else { throw .noSuchFile(path: url.path) }
    guard !ComponentWeights.isPickle(url.lastPathComponent) else { throw .pickleOnly(path: url.path) }
    guard url.pathExtension == "safetensors" else { throw .notWeights(path: url.path) }
    do throws(SafetensorsError) {
        return try SafetensorsFile(at: url)
    } catch {
        throw .file(error)
    }
}

extension WeightStore {
    /// A view of those tensors of `file` that `names` names, under diffusers' names.
    fileprivate convenience init(_ file: SafetensorsFile, _ names: [String], prefix: String, _ renaming: KeyRenaming) {
        var places: [String: Place] = [:]
        for name in names {
            guard let entry = file.entries[name] else { continue }
            let key = String(name.dropFirst(prefix.count))
            let renamed = renaming.diffusers(key) ?? key
            let place = Place(file: file, entry: entry, name: name)
            if renamed.contains(".self_attn.in_proj.") {
                for (index, part) in ["q", "k", "v"].enumerated() {
                    places[renamed.replacingOccurrences(of: ".in_proj.", with: ".\(part)_proj.")] =
                        place.third(index) ?? place
                }
            } else if key == "text_projection" {
                places[renamed] = place.transposed
            } else if renamed.contains(".mid_block.attentions.0.") {
                places[renamed] = place.asMatrix
            } else {
                places[renamed] = place
            }
        }
        self.init(file.url, files: [file], places: places)
    }
}

extension WeightStore.Place {
    /// One of three equal parts along the first dimension; nil where there are none.
    fileprivate func third(_ index: Int) -> Self? {
        guard let rows = entry.shape.first, rows % 3 == 0 else { return nil }
        let (count, size) = (rows / 3, entry.range.count / 3)
        let start = entry.range.lowerBound + index * size
        var part = self
        part.entry = .init(dtype: entry.dtype, shape: [count] + entry.shape.dropFirst(), range: start..<(start + size))
        return part
    }

    fileprivate var transposed: Self {
        var result = self
        result.isTransposed = entry.shape.count == 2
        return result
    }

    /// A 1x1 convolution as the matrix that it is.
    fileprivate var asMatrix: Self {
        guard entry.shape.count == 4, entry.shape[2...] == [1, 1] else { return self }
        var result = self
        result.entry = .init(dtype: entry.dtype, shape: Array(entry.shape[..<2]), range: entry.range)
        return result
    }
}

// MARK: - Checking

extension SingleFileModel {
    /// Opens every component and reports how much is in it.
    /// - Parameter checkingValues: Whether to look for NaN and infinities too, which reads all of the data.
    public func verify(checkingValues: Bool = false) -> ModelReport {
        let bad = checkingValues ? file.nonFiniteTensors() : []
        let components = Self.prefixes.filter { componentNames.contains($0.0) }.map { name, prefix in
            var component = ModelReport.Component(name: name, className: nil)
            do throws(WeightsError) {
                let store = try weights(of: name)
                let entries = store.keys.compactMap(store.entry)
                component.tensorCount = entries.count
                component.parameterCount = entries.reduce(0) { $0 + $1.elementCount }
                component.byteCount = entries.reduce(0) { $0 + $1.range.count }
                component.files = [
                    .init(
                        name: prefix + "*", tensorCount: component.tensorCount,
                        parameterCount: component.parameterCount,
                        byteCount: component.byteCount, dtypes: Set(entries.map(\.dtype.rawValue)).sorted())
                ]
            } catch {
                component.problems.append(error.description)
            }
            let own = bad.filter { $0.hasPrefix(prefix) }
            if !own.isEmpty {
                component.problems.append(
                    "\(url.path): NaN or infinity in \(own.count) of its tensors (\(listed(own))); download the file again."
                )
            }
            return component
        }
        return ModelReport(path: url.path, components: components)
    }
}
