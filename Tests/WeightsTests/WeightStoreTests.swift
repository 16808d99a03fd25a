import Foundation
import TensorKit
import Testing

@testable import Weights

@Suite("Weight stores")
struct WeightStoreTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func refusal(_ body: () throws -> Void) -> WeightsError? {
        do {
            try body()
            return nil
        } catch {
            return error as? WeightsError
        }
    }

    #if os(Linux)
    /// What is converted is not in memory twice.
    @Test func convertedTensorsLeaveTheFilesPages() throws {
        let url = scratch.url.appendingPathComponent("large.safetensors")
        let values = try Tensor.arange(1 << 20).to(.float16)
        try SafetensorsWriter.write(["a": values, "b": values], to: url)
        let store = try WeightStore(at: url)
        /// Kilobytes of the file's mapping that are in memory (proc(5), smaps).
        func resident() throws -> Int {
            // Foundation's String(contentsOfFile:) stops after the first page of such a file.
            let file = try #require(FileHandle(forReadingAtPath: "/proc/self/smaps"))
            let lines = String(decoding: try #require(try file.readToEnd()), as: UTF8.self).split(separator: "\n")
            let start = try #require(lines.firstIndex { $0.contains(url.lastPathComponent) })
            let line = try #require(lines[start...].first { $0.hasPrefix("Rss:") })
            return try #require(Int(line.split(separator: " ")[1]))
        }
        let kept = try store.root.tensor("a")
        _ = try kept.sum().item()
        let before = try resident()
        #expect(before > 1024)
        for _ in 0..<2 {
            let converted = try store.root.converted(to: .float32).tensor("b")
            #expect(try converted.array(of: Float.self) == values.to(.float32).array(of: Float.self))
            #expect(try resident() < before + 256)
        }
    }
    #endif

    /// Writes a file with a tensor of shape [index + 1] for each key.
    private func write(_ name: String, _ keys: [String]) throws {
        let url = scratch.url.appendingPathComponent(name)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        let arrays = keys.enumerated().map { index, key in
            (
                key,
                SafetensorsWriter.Array(
                    dtype: .u8, shape: [index + 1], bytes: Data(repeating: UInt8(index), count: index + 1))
            )
        }
        try SafetensorsWriter.write(Dictionary(uniqueKeysWithValues: arrays), to: url)
    }

    private func path(_ name: String) -> String { scratch.url.appendingPathComponent(name).path }

    // MARK: Finding

    @Test func preferenceAmongVariants() throws {
        let name = { (variant: String?) in
            try ComponentWeights.find(in: scratch.url, variant: variant)
        }
        let file = { (name: String) in ComponentWeights.file(scratch.url.appendingPathComponent(name)) }
        let index = { (name: String) in ComponentWeights.index(scratch.url.appendingPathComponent(name)) }
        try scratch.file("diffusion_pytorch_model.bf16.safetensors", "")
        #expect(try name(nil) == file("diffusion_pytorch_model.bf16.safetensors"))
        #expect(try name("fp16") == file("diffusion_pytorch_model.bf16.safetensors"))
        try scratch.file("model.safetensors", "")
        #expect(try name(nil) == file("model.safetensors"))
        try scratch.file("diffusion_pytorch_model.safetensors", "")
        #expect(try name(nil) == file("diffusion_pytorch_model.safetensors"))
        #expect(try name("fp16") == file("diffusion_pytorch_model.safetensors"))
        #expect(try name("bf16") == file("diffusion_pytorch_model.bf16.safetensors"))
        try scratch.file("diffusion_pytorch_model.safetensors.index.fp16.json", "")
        #expect(try name("fp16") == index("diffusion_pytorch_model.safetensors.index.fp16.json"))
        try scratch.file("diffusion_pytorch_model.fp16.safetensors", "")
        #expect(try name("fp16") == file("diffusion_pytorch_model.fp16.safetensors"))
    }

    @Test func bothSpellingsOfAnIndexsVariant() throws {
        try scratch.file("model-00001-of-00002.safetensors", "")
        try scratch.file("model.fp16-00001-of-00002.safetensors", "")
        #expect(
            refusal { _ = try ComponentWeights.find(in: scratch.url, variant: nil) }
                == .noWeights(folder: scratch.url.path))
        let url = try scratch.file("model.fp16.safetensors.index.json", "")
        #expect(try ComponentWeights.find(in: scratch.url, variant: "fp16") == .index(url))
        let plain = try scratch.file("model.safetensors.index.json", "")
        #expect(try ComponentWeights.find(in: scratch.url, variant: nil) == .index(plain))
    }

    @Test(arguments: ["diffusion_pytorch_model.bin", "pytorch_model.bin", "sdxl.ckpt", "net.PTH", "a.pt", "a.pkl"])
    func picklesAreRefusedByName(name: String) throws {
        let url = try scratch.file(name, "x")
        #expect(refusal { _ = try WeightStore(at: scratch.url) } == .pickleOnly(path: path(name)))
        #expect(refusal { _ = try WeightStore(at: url) } == .pickleOnly(path: path(name)))
        #expect(
            refusal { _ = try WeightStore(at: url) }?.description.contains("only safetensors are read; convert it")
                == true)
    }

    @Test func nothingThere() throws {
        #expect(refusal { _ = try WeightStore(at: scratch.url) } == .noWeights(folder: scratch.url.path))
        #expect(
            refusal { _ = try WeightStore(at: scratch.url.appendingPathComponent("no")) }
                == .noSuchFile(path: path("no")))
        let text = try scratch.file("notes.txt", "x")
        #expect(refusal { _ = try WeightStore(at: text) } == .notWeights(path: text.path))
        let broken = try scratch.file("a.safetensors", "x")
        #expect(
            refusal { _ = try WeightStore(at: broken) }
                == .file(.init(path: broken.path, violation: .fileTooShort(size: 1))))
    }

    // MARK: Shards

    private func shards(_ index: String) throws -> WeightsError? {
        let url = scratch.url.appendingPathComponent("model.safetensors.index.json")
        try Data(index.utf8).write(to: url)
        return refusal { _ = try WeightStore(at: url) }
    }

    @Test func shardsActAsOneFile() throws {
        try write("diffusion_pytorch_model-00001-of-00002.safetensors", ["a", "b"])
        try write("diffusion_pytorch_model-00002-of-00002.safetensors", ["c"])
        try scratch.file(
            "diffusion_pytorch_model.safetensors.index.json",
            """
            {"metadata": {"total_size": 4, "deep": [1.5e3, true, null, {"x": -0.25}]},
             "weight_map": {"a": "diffusion_pytorch_model-00001-of-00002.safetensors",
                            "b": "diffusion_pytorch_model-00001-of-00002.safetensors",
                            "c": "diffusion_pytorch_model-00002-of-00002.safetensors"}}

            """)
        let store = try WeightStore(at: scratch.url)
        #expect(store.keys == ["a", "b", "c"])
        #expect(store.files.count == 2)
        #expect(store.shape(of: "b") == [2])
        #expect(store.shape(of: "d") == nil)
        #expect(store.contains("c") && !store.contains("d"))
    }

    @Test(arguments: [
        "../a.safetensors", "/etc/passwd", "sub/a.safetensors", "..", ".", "", "..\\\\a.safetensors",
        "a\\u0000.safetensors",
    ])
    func shardsStayInTheirFolder(name: String) throws {
        try write("a.safetensors", ["a"])
        guard case .shardOutsideFolder? = try shards("{\"weight_map\": {\"a\": \"\(name)\"}}") else {
            Issue.record("\(name) was not refused")
            return
        }
    }

    @Test func shardsAreWhereTheIndexSays() throws {
        try write("a.safetensors", ["a"])
        let index = path("model.safetensors.index.json")
        #expect(try shards("{\"weight_map\": {\"a\": \"a.safetensors\"}}") == nil)
        #expect(
            try shards("{\"weight_map\": {\"a\": \"b.safetensors\"}}")
                == .shardMissing(index: index, shard: "b.safetensors"))
        #expect(
            try shards("{\"weight_map\": {\"b\": \"a.safetensors\"}}")
                == .shardLacksKey(index: index, shard: "a.safetensors", key: "b"))
        #expect(try shards("{\"weight_map\": {\"a\": \"a.bin\"}}") == .pickleOnly(path: path("a.bin")))
    }

    @Test(arguments: [
        "", "[]", "{}", "{\"weight_map\": []}", "{\"weight_map\": {\"a\": 1}}",
        "{\"weight_map\": {}, \"weight_map\": {}}",
        "{\"weight_map\": {}} x", "{\"weight_map\": {\"a\": \"notes.txt\"}}",
    ])
    func brokenIndexes(text: String) throws {
        guard case .badIndex? = try shards(text) else {
            Issue.record("\(text) was not refused")
            return
        }
    }

    // MARK: Fitting

    @Test(.needsEngine) func scopesNameTheirKeys() throws {
        try write("a.safetensors", ["down.0.conv.weight", "down.0.conv.bias", "down.01.x", "out.weight"])
        let store = try WeightStore(at: scratch.url.appendingPathComponent("a.safetensors"))
        let scope = store["down"][0]
        #expect(scope.name == "down.0")
        #expect(scope.keys == ["conv.bias", "conv.weight"])
        #expect(scope["conv"].contains("bias") && !scope["conv"].contains("x"))
        #expect(scope.shape(of: "conv.bias") == [2])
        #expect(try scope["conv"].tensor("bias", [2]).array(of: UInt8.self) == [1, 1])
        #expect(try store["down.0"].tensor("conv.weight").shape == [1])
        let missing = refusal { _ = try scope.tensor("norm.weight", [1]) }
        #expect(missing == .missingKey(path: store.url.path, key: "down.0.norm.weight"))
        let misshapen = refusal { _ = try store.tensor("out.weight", [4, 1]) }
        #expect(misshapen == .wrongShape(path: store.url.path, key: "out.weight", expected: [4, 1], found: [4]))
    }

    @Test(.needsEngine) func whatIsUnusedIsNamed() throws {
        try write("a.safetensors", ["encoder.a", "encoder.b", "encoders.c", "decoder.d"])
        let store = try WeightStore(at: scratch.url.appendingPathComponent("a.safetensors"))
        _ = try store.tensor("decoder.d")
        let extra = { (keys: [String]) in WeightsError.doNotFit(path: store.url.path, .init(extra: keys)) }
        #expect(refusal { try store.finish() } == extra(["encoder.a", "encoder.b", "encoders.c"]))
        #expect(refusal { try store.finish(ignoring: ["encoder"]) } == extra(["encoders.c"]))
        #expect(refusal { try store.finish(ignoring: ["encoder.a", "encoders.c"]) } == extra(["encoder.b"]))
        try store.finish(ignoring: ["encoder", "encoders"])
    }

    @Test(.needsEngine) func oneErrorNamesAllThatDoesNotFit() throws {
        try write("a.safetensors", ["a", "b", "c"] + (0..<20).map { "old.\($0)" })
        let store = try WeightStore(at: scratch.url.appendingPathComponent("a.safetensors"))
        let error = refusal {
            try store.build { weights throws -> Void in
                #expect(try weights.tensor("a", [1]).shape == [1])
                #expect(try weights.tensor("b", [2, 3]).shape == [2, 3])
                #expect(try weights["new"].tensor("weight", [4, 4]).shape == [4, 4])
            }
        }
        guard case .doNotFit(_, let misfit)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(misfit.missing == ["new.weight"])
        #expect(misfit.misshapen == [.init(key: "b", expected: [2, 3], found: [2])])
        #expect(misfit.extra.count == 21)
        let text = "\(misfit)"
        #expect(
            text.hasPrefix(
                "1 missing ('new.weight'); 1 of another shape ('b is [2], not [2, 3]'); 21 unknown ('c', 'old.0', "))
        #expect(text.hasSuffix(", …)"))
        // A failure on the way says what is missing, not what the zeros led to.
        struct Stumble: Error {}
        let early = refusal {
            try store.build { weights throws -> Void in
                _ = try weights.tensor("gone", [1])
                throw Stumble()
            }
        }
        #expect(early == .doNotFit(path: store.url.path, .init(missing: ["gone"])))
        #expect(throws: Stumble.self) { try store.build { _ in throw Stumble() } }
    }

    @Test(.needsEngine) func buildConvertsFloatsOnly() throws {
        let url = scratch.url.appendingPathComponent("a.safetensors")
        try SafetensorsWriter.write(
            ["f": try Tensor([1.5, 2] as [Float], shape: [2]), "i": try Tensor([3] as [Int64], shape: [])], to: url)
        let types = try WeightStore(at: url).build(dtype: .bfloat16) {
            [try $0.tensor("f", [2]).dtype, try $0.tensor("i", []).dtype]
        }
        #expect(types == [.bfloat16, .int64])
    }
}

extension Trait where Self == ConditionTrait {
    /// Skips the test where there is no LibTorch.
    static var needsEngine: Self { .enabled(if: (try? Engine.load()) != nil, "LibTorch was not found: run make setup") }
}
