import Foundation
import TensorKit
import TestSupport
import Testing

@testable import LatentDiffusion
@testable import Weights

/// SDXL in its original layout. Which name stands for which was asked of diffusers' converter (`Benchmarks/reference/single_file.py`).
@Suite struct SingleFileTests {
    /// A random model in diffusers' layout.
    static func model(_ folder: TemporaryFolder, seed: UInt64 = 1, dtype: DType = .float32) throws -> URL {
        let url = URL(fileURLWithPath: folder.file("model"))
        try RandomModel(.tiny, seed: seed, dtype: dtype).write(to: url)
        return url
    }

    static func tensors(of component: String, in model: URL) throws -> [String: Tensor] {
        try SafetensorsFile(at: model.appendingPathComponent("\(component)/diffusion_pytorch_model.safetensors"))
            .tensors()
    }

    static func write(
        _ tensors: [String: Tensor], to folder: TemporaryFolder, as name: String = "model.safetensors"
    ) throws -> URL {
        let url = URL(fileURLWithPath: folder.file(name))
        try SafetensorsWriter.write(tensors, to: url, overwrite: true)
        return url
    }

    // MARK: Names and values

    @Test func everyTensorIsTheSameBothWays() throws {
        let folder = try TemporaryFolder()
        let model = try Self.model(folder)
        var tensors = try OriginalLayout.tensors(of: model)
        // What such files have besides.
        tensors["denoiser.sigmas"] = try Tensor.zeros([1000])
        tensors["model_ema.decay"] = try Tensor.zeros([1])
        let file = try SingleFileModel(at: Self.write(tensors, to: folder))
        #expect(file.componentNames == ["unet", "vae"])
        for component in file.componentNames {
            let store = try file.weights(of: component)
            let expected = try Self.tensors(of: component, in: model)
            #expect(store.keys == expected.keys.sorted())
            for (key, tensor) in expected {
                let found = try store.tensor(key)
                #expect(found.shape == tensor.shape && found.shape == store.shape(of: key))
                #expect(try found.array(of: Float.self) == tensor.array())
            }
        }
        #expect(throws: WeightsError.noPart(path: file.url.path, part: "text_encoder", present: ["unet", "vae"])) {
            try file.weights(of: "text_encoder")
        }
    }

    @Test func theNetworksComputeTheSame() throws {
        let folder = try TemporaryFolder()
        // Weights of the type that is computed in are used where they lie in the file, and without MKL_CBWR the order of MKL's sums may follow
        // from that place (on processors with AVX2 alone it does). Converted ones lie at multiples of 64 bytes on both sides.
        let model = try Self.model(folder, dtype: .float16)
        let ours = try LatentDiffusionModel(at: model)
        let single = try LatentDiffusionModel(at: Self.write(OriginalLayout.tensors(of: model), to: folder))
        #expect(single.unet.configuration == ours.unet.configuration)
        #expect(single.schedule == ours.schedule)
        guard case .kl(let a) = single.autoencoder, case .kl(let b) = ours.autoencoder else {
            Issue.record("these are not AutoencoderKL")
            return
        }
        #expect(a.configuration == b.configuration)
        var random = RandomGenerator(seed: 2)
        let latents = try random.normal([1, 4, 8, 8])
        let frames = try random.uniform([1, 3, 32, 32])
        func results(_ model: LatentDiffusionModel) throws -> [[Float]] {
            let noise = try model.unet(latents, timestep: 500, conditioning: model.conditioning(height: 64, width: 64))
            return try [noise, model.autoencoder.encode(frames), model.autoencoder.decode(latents)].map {
                try $0.contiguous().array()
            }
        }
        let expected = try results(ours)
        // The weights are the same bit for bit (above).
        for (found, expected) in zip(try results(single), expected) {
            let (a, b) = (try Tensor(found, shape: [found.count]), try Tensor(expected, shape: [expected.count]))
            #expect(try relativeError(a, b) < 1e-6)
        }
        // Networks that give the same for everything would agree as well.
        #expect(expected.allSatisfy { values in values.allSatisfy(\.isFinite) && Set(values).count > values.count / 2 })
    }

    /// The text encoders' names, and the tensors that OpenCLIP has in one piece or lying down.
    @Test func textEncoders() throws {
        let folder = try TemporaryFolder()
        var tensors = try OriginalLayout.tensors(of: Self.model(folder))
        var random = RandomGenerator(seed: 3)
        let names = Set(OriginalLayout.lines.filter { $0.component == "text_encoder_2" }.map(\.original))
        for name in names.sorted() {
            let shape =
                name.contains("in_proj_bias")
                ? [12] : name.contains("in_proj") ? [12, 4] : name.hasSuffix("text_projection") ? [4, 6] : [5]
            tensors[name] = try random.normal(shape)
        }
        tensors["conditioner.embedders.1.model.logit_scale"] = try Tensor.zeros([])
        let clip = [
            "text_model.embeddings.token_embedding.weight", "text_model.encoder.layers.0.self_attn.q_proj.bias",
        ]
        for name in clip { tensors["conditioner.embedders.0.transformer." + name] = try random.normal([7]) }
        tensors["conditioner.embedders.0.transformer.text_model.embeddings.position_ids"] = try Tensor.zeros(
            [1, 77], dtype: .int64)
        let file = try SingleFileModel(at: Self.write(tensors, to: folder))
        #expect(file.componentNames == ["unet", "vae", "text_encoder", "text_encoder_2"])
        let first = try file.weights(of: "text_encoder")
        #expect(first.keys == clip)
        for name in clip {
            #expect(
                try first.tensor(name).array()
                    == tensors.require("conditioner.embedders.0.transformer." + name).array(of: Float.self))
        }

        let second = try file.weights(of: "text_encoder_2")
        let lines = OriginalLayout.lines.filter { $0.component == "text_encoder_2" }
        #expect(lines.count == 37 && second.keys == lines.map(\.diffusers).sorted())
        for line in lines {
            let whole = try tensors.require(line.original)
            let expected =
                if line.reading.hasPrefix("part ") {
                    try whole.narrow(0, from: 4 * #require(Int(line.reading.dropFirst(5))), count: 4)
                } else if line.reading == "transposed" {
                    try whole.transposed(0, 1)
                } else {
                    whole
                }
            let found = try second.tensor(line.diffusers)
            #expect(found.shape == expected.shape && second.shape(of: line.diffusers) == expected.shape)
            #expect(try found.contiguous().array(of: Float.self) == expected.contiguous().array())
        }
    }

    /// A file of SDXL's own size, all hole and no data: every name and shape of it, and the configuration that follows.
    @Test func fullSize() throws {
        let inventory = try StableDiffusionXL.full.inventory()
        #expect(inventory["unet"]?.count == 1680 && inventory["vae"]?.count == 248)
        let renamings = [
            "unet": KeyRenaming.unet(layers: 2, hasAttention: [false, true, true]),
            "vae": .autoencoder(levels: 4, layers: 2),
        ]
        let prefixes = ["unet": "model.diffusion_model.", "vae": "first_stage_model."]
        var pairs: [String] = []
        var header: [String] = []
        var offset = 0
        for (component, shapes) in inventory.sorted(by: { $0.key < $1.key }) {
            for (key, shape) in shapes.sorted(by: { $0.key < $1.key }) {
                let name = try #require(renamings[component]?.original(key))
                #expect(renamings[component]?.diffusers(name) == key)
                let isSqueezed = component == "vae" && key.contains(".attentions.") && shape.count == 2
                let original = "\(try #require(prefixes[component]))\(name)"
                pairs.append("\(component)\t\(key)\t\(original)" + (isSqueezed ? "\tsqueezed" : ""))
                let end = offset + 2 * shape.reduce(1, *)
                header.append(
                    #""\#(original)":{"dtype":"F16","shape":\#(shape + (isSqueezed ? [1, 1] : [])),"data_offsets":[\#(offset),\#(end)]}"#
                )
                offset = end
            }
        }
        #expect(offset == 5_302_235_094)
        // The pairs that diffusers' converter made of the names in sgm's modules.
        let hash = (pairs.joined(separator: "\n") + "\n").utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01B3
        }
        #expect(hash == 0x12A4_0E17_AD48_4265)

        let folder = try TemporaryFolder()
        let url = URL(fileURLWithPath: folder.file("sdxl.safetensors"))
        let text = Array("{\(header.joined(separator: ","))}".utf8)
        try Data(withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text).write(to: url)
        try #require(truncate(url.path, off_t(8 + text.count + offset)) == 0)
        let file = try SingleFileModel(at: url)
        for component in ["unet", "vae"] {
            let store = try file.weights(of: component)
            #expect(
                Dictionary(uniqueKeysWithValues: store.keys.map { ($0, store.shape(of: $0)) })
                    == inventory[component]?.mapValues { $0 })
        }
        #expect(
            try StableDiffusionXL.unetConfiguration(of: file.weights(of: "unet"))
                == StableDiffusionXL.full.unetConfiguration)
        #expect(
            try StableDiffusionXL.autoencoderConfiguration(of: file.weights(of: "vae"))
                == StableDiffusionXL.full.autoencoderConfiguration)
        #expect(file.verify().components.map(\.tensorCount) == [1680, 248])
    }

    // MARK: Autoencoders

    enum AutoencoderForm: String, CaseIterable { case folder, prefixed, bare, diffusers, wholeModel }

    @Test(arguments: AutoencoderForm.allCases) func anotherAutoencoder(form: AutoencoderForm) throws {
        let (folder, others) = (try TemporaryFolder(), try TemporaryFolder())
        let model = try Self.model(folder)
        let other = try Self.model(others, seed: 2)
        let original = try OriginalLayout.tensors(of: other, components: ["vae"])
        let url: URL =
            switch form {
            case .folder: other.appendingPathComponent("vae")
            case .prefixed: try Self.write(original, to: others)
            case .bare:
                try Self.write(
                    Dictionary(
                        uniqueKeysWithValues: original.map { (String($0.dropFirst("first_stage_model.".count)), $1) }
                    )
                    .merging(["loss.logvar": Tensor.zeros([])]) { first, _ in first }, to: others)
            case .diffusers: try Self.write(Self.tensors(of: "vae", in: other), to: others)
            case .wholeModel: try Self.write(OriginalLayout.tensors(of: other), to: others)
            }
        let mixed = try LatentDiffusionModel(at: model, autoencoder: url)
        var random = RandomGenerator(seed: 5)
        let latents = try random.normal([1, 4, 4, 4])
        let expected: [Float] = try LatentDiffusionModel(at: other).autoencoder.decode(latents).contiguous().array()
        #expect(try mixed.autoencoder.decode(latents).contiguous().array() == expected)
        #expect(try LatentDiffusionModel(at: model).autoencoder.decode(latents).contiguous().array() != expected)
    }

    @Test func aFileWithoutAnAutoencoderNeedsAnother() throws {
        let folder = try TemporaryFolder()
        let model = try Self.model(folder)
        let url = try Self.write(OriginalLayout.tensors(of: model, components: ["unet"]), to: folder)
        #expect(throws: WeightsError.noPart(path: url.path, part: "vae", present: ["unet"])) {
            try LatentDiffusionModel(at: url)
        }
        #expect(
            try LatentDiffusionModel(at: url, autoencoder: model.appendingPathComponent("vae")).autoencoder
                .latentChannels == 4)
    }

    // MARK: Refusals

    enum Other: String, CaseIterable {
        case refiner, refinerWithoutText, one = "Stable Diffusion 1", two = "Stable Diffusion 2", inpainting,
            predictsV = "predicts v"
        case playground = "Playground", diffusers = "one network in diffusers' layout", autoencoder =
            "an autoencoder by itself"
        case addition = "LoRA", nothing = "not a checkpoint", otherStructure = "another structure"
    }

    @Test(arguments: Other.allCases) func otherCheckpointsAreRefusedByName(other: Other) throws {
        let unet = "model.diffusion_model."
        let context = unet + "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"
        var shapes = [
            unet + "input_blocks.0.0.weight": [8, 4, 3, 3], unet + "input_blocks.3.0.op.weight": [1],
            unet + "input_blocks.6.0.op.weight": [1],
            unet + "input_blocks.4.1.norm.weight": [1], unet + "input_blocks.7.1.norm.weight": [1],
            unet + "label_emb.0.0.weight": [1], context: [8, 16],
        ]
        switch other {
        case .refiner: shapes["conditioner.embedders.0.model.ln_final.bias"] = [1]
        case .refinerWithoutText: shapes[unet + "input_blocks.9.0.op.weight"] = [1]
        case .one, .two:
            shapes[unet + "label_emb.0.0.weight"] = nil
            shapes[context] = [8, other == .one ? 768 : 1024]
        case .inpainting: shapes[unet + "input_blocks.0.0.weight"] = [8, 9, 3, 3]
        case .predictsV: shapes["v_pred"] = []
        case .playground: shapes["edm_mean"] = [4]
        case .diffusers: shapes = ["down_blocks.0.resnets.0.conv1.weight": [1]]
        case .autoencoder: shapes = ["first_stage_model.decoder.conv_in.weight": [1]]
        case .addition: shapes = ["lora_unet_input_blocks_4_1_proj_in.lora_up.weight": [1]]
        case .nothing: shapes = ["weight": [1]]
        case .otherStructure: shapes[unet + "input_blocks.1.1.norm.weight"] = [1]
        }
        let folder = try TemporaryFolder()
        let url = try Self.write(shapes.mapValues { try Tensor.zeros($0) }, to: folder)
        let error = #expect(throws: WeightsError.self) { try SingleFileModel(at: url) }
        let words = other.rawValue.hasPrefix("refiner") ? "SDXL's refiner" : other.rawValue
        #expect(error?.description.contains(words) == true && error?.description.contains("model.safetensors") == true)
    }

    @Test func picklesAndOtherFilesAreRefused() throws {
        let folder = try TemporaryFolder()
        for name in ["model.ckpt", "model.txt"] {
            let url = URL(fileURLWithPath: folder.file(name))
            #expect(throws: WeightsError.noSuchFile(path: url.path)) { try SingleFileModel(at: url) }
            try Data([0x80, 2]).write(to: url)
            #expect(
                throws: name == "model.ckpt" ? WeightsError.pickleOnly(path: url.path) : .notWeights(path: url.path)
            ) {
                try SingleFileModel(at: url)
            }
        }
    }

    /// A tensor too few, one too many or one of another shape is named as ever.
    @Test func whatDoesNotFitIsNamed() throws {
        let folder = try TemporaryFolder()
        var tensors = try OriginalLayout.tensors(of: Self.model(folder))
        let prefix = "model.diffusion_model.output_blocks.2."
        tensors[prefix + "2.conv.bias"] = nil
        tensors[prefix + "7.weight"] = try Tensor.zeros([1])
        tensors["model.diffusion_model.out.0.bias"] = try Tensor.zeros([3])
        let url = try Self.write(tensors, to: folder)
        #expect(
            throws: WeightsError.doNotFit(
                path: url.path,
                .init(
                    missing: ["up_blocks.0.upsamplers.0.conv.bias"],
                    misshapen: [.init(key: "conv_norm_out.bias", expected: [32], found: [3])],
                    extra: ["output_blocks.2.7.weight"]))
        ) { try LatentDiffusionModel(at: url) }
    }
}
