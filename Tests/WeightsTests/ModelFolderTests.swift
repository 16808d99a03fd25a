import Foundation
import Testing

@testable import Weights

@Suite("Model folders")
struct ModelFolderTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
        try scratch.file(
            "model_index.json",
            """
            {"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": true, "unet": ["diffusers", "UNet2DConditionModel"],
             "scheduler": ["diffusers", "DDIMScheduler"], "feature_extractor": [null, null]}
            """)
        try scratch.file("scheduler/scheduler_config.json", "{\"steps\": 1000}")
        try scratch.file("unet/config.json", "{\"in_channels\": 4, \"blocks\": {\"count\": 2}}")
        try scratch.file("exports/config.json", "{}")
        try write("unet/diffusion_pytorch_model.safetensors", [1, 2, 3])
        try write("unet/diffusion_pytorch_model.fp16.safetensors", [1, 2])
    }

    private func write(_ name: String, _ values: [Float]) throws {
        let bytes = values.withUnsafeBytes { Data($0) }
        try SafetensorsWriter.write(
            ["w": .init(dtype: .f32, shape: [values.count], bytes: bytes)],
            to: scratch.url.appendingPathComponent(name),
            overwrite: true)
    }

    private func refusal(_ body: () throws -> Void) -> WeightsError? {
        do {
            try body()
            return nil
        } catch {
            return error as? WeightsError
        }
    }

    struct Configuration: Decodable, Equatable {
        struct Blocks: Decodable, Equatable { var count: Int }
        var in_channels: Int
        var blocks: Blocks
    }

    @Test func componentsAreFound() throws {
        let model = try ModelFolder(at: scratch.url)
        #expect(model.classNames == ["unet": "UNet2DConditionModel", "scheduler": "DDIMScheduler"])
        #expect(model.componentNames == ["exports", "scheduler", "unet"])
        let unet = try model.component("unet")
        #expect(try unet.config() == Configuration(in_channels: 4, blocks: .init(count: 2)))
        #expect(try unet.weights().shape(of: "w") == [3])
        #expect(try unet.weights(variant: "fp16").shape(of: "w") == [2])
        #expect(try model.component("scheduler").configData() == Data("{\"steps\": 1000}".utf8))
        #expect(try ComponentFolder(at: scratch.url.appendingPathComponent("unet")).weights().keys == ["w"])
    }

    @Test func whatIsMissingIsNamed() throws {
        let path = scratch.url.path
        #expect(
            refusal { _ = try ModelFolder(at: scratch.url.appendingPathComponent("no")) }
                == .noSuchFolder(path: "\(path)/no"))
        let model = try ModelFolder(at: scratch.url)
        let noVAE = refusal { _ = try model.component("vae") }
        #expect(noVAE == .noComponent(model: path, component: "vae", present: ["exports", "scheduler", "unet"]))
        try FileManager.default.removeItem(at: scratch.url.appendingPathComponent("unet/config.json"))
        #expect(refusal { _ = try model.component("unet").configData() } == .noConfig(path: "\(path)/unet/config.json"))
    }

    @Test(arguments: [
        ("{\"in_channels\": 4}", "'blocks' is missing"),
        ("{\"in_channels\": 4, \"blocks\": {}}", "'blocks.count' is missing"),
        ("{\"in_channels\": \"4\", \"blocks\": {\"count\": 2}}", "'in_channels' is not of the type Int"),
        ("{\"in_channels\": null, \"blocks\": {\"count\": 2}}", "'in_channels' is null"), ("{", "not valid JSON"),
    ])
    func badConfigurationsAreExplained(text: String, part: String) throws {
        try scratch.file("unet/config.json", text)
        let unet = try ModelFolder(at: scratch.url).component("unet")
        let error = refusal { _ = try unet.config(as: Configuration.self) }
        #expect(error?.description.contains(part) == true, "\(String(describing: error))")
        #expect(error?.description.contains("/unet/config.json") == true)
    }

    @Test(arguments: ["{", "[]", "{\"unet\": [\"a\", \"b\"], \"unet\": [\"a\", \"b\"]}"])
    func badModelIndexes(text: String) throws {
        try scratch.file("model_index.json", text)
        guard case .badConfig? = refusal({ _ = try ModelFolder(at: scratch.url) }) else {
            Issue.record("\(text) was not refused")
            return
        }
    }

    // MARK: Verifying

    @Test func soundModel() throws {
        let report = try ModelFolder(at: scratch.url).verify(checkingValues: true)
        #expect(report.isSound)
        #expect(report.components.map(\.name) == ["scheduler", "unet"])
        let unet = try #require(report.components.last)
        #expect(unet.className == "UNet2DConditionModel")
        #expect(unet.files.map(\.parameterCount) == [2, 3])
        #expect((unet.tensorCount, unet.parameterCount, unet.byteCount) == (1, 3, 12))
        #expect(unet.files.first?.dtypes == ["F32"])
        #expect(report.description.contains("sound: 3 parameters"))
        #expect(try JSONDecoder().decode(ModelReport.self, from: JSONEncoder().encode(report)) == report)
    }

    @Test func everyProblemIsReported() throws {
        try scratch.file(
            "model_index.json",
            "{\"unet\": [\"diffusers\", \"U\"], \"vae\": [\"diffusers\", \"A\"], \"text\": [\"diffusers\", \"C\"], \"old\": [\"a\", \"b\"]}"
        )
        try write("unet/diffusion_pytorch_model.safetensors", [1, .nan])
        try scratch.file("unet/diffusion_pytorch_model.fp16.safetensors", "short")
        try scratch.file("text/config.json", "{}")
        try scratch.file("old/config.json", "{}")
        try scratch.file("old/pytorch_model.bin", "")
        let report = try ModelFolder(at: scratch.url).verify(checkingValues: true)
        #expect(!report.isSound)
        let problems = Dictionary(
            uniqueKeysWithValues: report.components.map { ($0.name, $0.problems.joined(separator: "\n")) })
        #expect(problems["unet"]?.contains("NaN or infinity in 1 of its tensors ('w')") == true)
        #expect(problems["unet"]?.contains("fp16.safetensors: the file has 5 bytes") == true)
        #expect(problems["text"]?.contains("there are no weights in this folder") == true)
        #expect(problems["old"]?.contains("is a pickle") == true)
        #expect(problems["vae"]?.contains("the model has no folder 'vae'") == true)
        #expect(try ModelFolder(at: scratch.url).verify().components.first { $0.name == "unet" }?.problems.count == 1)
        // The same fault is not told twice.
        #expect(
            try ModelFolder(at: scratch.url).verify(variant: "fp16").components.first { $0.name == "unet" }?.problems
                .count == 1)
    }

    @Test func aComponentByItself() throws {
        let report = try ModelFolder(at: scratch.url.appendingPathComponent("unet")).verify()
        #expect(report.components.map(\.name) == ["."])
        #expect(report.isSound)
        try scratch.file("nothing/readme.txt", "")
        #expect(try ModelFolder(at: scratch.url.appendingPathComponent("nothing")).verify().isSound == false)
    }

    @Test func nonFiniteValuesInEveryType() {
        let cases: [(SafetensorsDType, finite: UInt64, infinite: UInt64?, nan: UInt64)] = [
            (.f64, Double.greatestFiniteMagnitude.bitPattern, Double.infinity.bitPattern, Double.nan.bitPattern),
            (
                .f32, UInt64(Float.greatestFiniteMagnitude.bitPattern), UInt64((-Float.infinity).bitPattern),
                UInt64(Float.nan.bitPattern)
            ),
            (.f16, 0x7BFF, 0xFC00, 0x7E00), (.bf16, 0x7F7F, 0xFF80, 0x7FC0), (.f8e5m2, 0x7B, 0xFC, 0x7E),
            (.f8e4m3, 0x7E, nil, 0xFF),
            (.i32, 0x7FFF_FFFF, nil, 0x7FFF_FFFF),
        ]
        for (dtype, finite, infinite, nan) in cases {
            let holds = { (word: UInt64) in
                // Past the first block, behind an odd address.
                let words = [UInt64](repeating: finite, count: 40_000) + [word]
                var bytes: [UInt8] = [0xFF]
                for word in words { withUnsafeBytes(of: word.littleEndian) { bytes += $0.prefix(dtype.size) } }
                return bytes.withUnsafeBytes { hasNonFinite(UnsafeRawBufferPointer(rebasing: $0[1...]), dtype) }
            }
            #expect(!holds(finite), "\(dtype)")
            #expect(infinite.map(holds) != false, "\(dtype)")
            #expect(holds(nan) == dtype.isFloatingPoint, "\(dtype)")
        }
    }
}
