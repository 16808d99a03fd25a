import Foundation
import Networks
import TensorKit
import TestSupport
import Testing
import Weights

@testable import LatentDiffusion

@Suite struct RandomModelTests {
    static func write(_ folder: TemporaryFolder, _ name: String, seed: UInt64, dtype: DType = .float16) throws -> URL {
        let url = URL(fileURLWithPath: folder.file(name))
        try RandomModel(.tiny, seed: seed, dtype: dtype).write(to: url)
        return url
    }

    static func tensors(_ model: URL, _ component: String = "unet") throws -> [String: Tensor] {
        try SafetensorsFile(at: model.appendingPathComponent("\(component)/diffusion_pytorch_model.safetensors"))
            .tensors()
    }

    static func bytes(_ model: URL, _ component: String) throws -> Data {
        try Data(contentsOf: model.appendingPathComponent("\(component)/diffusion_pytorch_model.safetensors"))
    }

    /// The first and last numbers of two tensors, from `Benchmarks/reference/philox.py`; the last of the first one are of its 1152.
    @Test func theNumbersAreThoseOfTheSeed() throws {
        let folder = try TemporaryFolder()
        let model = try Self.write(folder, "a", seed: 1)
        let golden: [(component: String, key: String, first: [Float], last: [Float])] = [
            (
                "unet", "conv_in.weight", [0.14453125, -0.1126708984375, -0.10888671875, -0.0640869140625],
                [0.07989501953125, -0.044281005859375, -0.0802001953125, -0.1002197265625]
            ),
            (
                "vae", "encoder.mid_block.attentions.0.to_q.bias",
                [-0.045318603515625, -0.07568359375, -0.00492095947265625, -0.1053466796875],
                [-0.1151123046875, 0.08160400390625, -0.0184478759765625, -0.11181640625]
            ),
        ]
        for (component, key, first, last) in golden {
            let values: [Float] = try Self.tensors(model, component).require(key).to(.float32).array()
            #expect(Array(values.prefix(4)) == first && Array(values.suffix(4)) == last)
        }
        for component in ["unet", "vae"] {
            #expect(
                try Self.bytes(Self.write(folder, "b\(component)", seed: 1), component) == Self.bytes(model, component))
            #expect(
                try Self.bytes(Self.write(folder, "c\(component)", seed: 2), component) != Self.bytes(model, component))
        }
    }

    /// PyTorch's default: uniform within 1/sqrt(inputs), norms the identity, and no tensor like another.
    @Test func weightsAreAsPyTorchBeginsWith() throws {
        let folder = try TemporaryFolder()
        for (key, tensor) in try Self.tensors(Self.write(folder, "a", seed: 1, dtype: .float32)) {
            let values: [Float] = try tensor.array()
            guard !key.contains("norm") else {
                #expect(values.allSatisfy { $0 == (key.hasSuffix("weight") ? 1 : 0) }, "\(key)")
                continue
            }
            guard tensor.rank > 1 else { continue }
            let bound = 1 / Float(tensor.shape.dropFirst().reduce(1, *)).squareRoot()
            let largest = values.map(\.magnitude).max() ?? 0
            #expect(largest <= bound && largest > 0.98 * bound, "\(key)")
            let variance = values.reduce(0) { $0 + Double($1 * $1) } / Double(values.count)
            #expect(abs(variance * 3 / Double(bound * bound) - 1) < 6 / Double(values.count).squareRoot(), "\(key)")
        }
    }

    @Test func tensorsOfOneShapeDiffer() throws {
        let folder = try TemporaryFolder()
        let tensors = try Self.tensors(Self.write(folder, "a", seed: 1))
        let first = try tensors.filter { $0.value.rank > 1 }.map {
            try $0.value.to(.float32).reshaped([-1]).narrow(0, from: 0, count: 8).array(of: Float.self)
        }
        #expect(Set(first.map { $0.map(\.bitPattern) }).count == first.count)
    }

    @Test(arguments: [DType.float16, .bfloat16, .float32]) func theModelRuns(dtype: DType) throws {
        let folder = try TemporaryFolder()
        let url = try Self.write(folder, "a", seed: 4, dtype: dtype)
        #expect(try Self.tensors(url).values.allSatisfy { $0.dtype == dtype })
        #expect(try ModelFolder(at: url).verify(checkingValues: true).isSound)
        let model = try LatentDiffusionModel(at: url)
        var random = RandomGenerator(seed: 1)
        let latents = try random.normal([1, 4, 8, 8])
        let noise = try model.unet(latents, timestep: 100, conditioning: model.conditioning(height: 64, width: 64))
        let decoded = try model.autoencoder.decode(latents)
        for output in [noise, decoded] {
            let size = try output.squared().mean().item().squareRoot()
            // Neither vanished nor grown out of float16.
            #expect(size > 0.01 && size < 100)
        }
    }

    @Test func nothingIsReplacedAndNothingIsLeft() throws {
        let folder = try TemporaryFolder()
        let url = try Self.write(folder, "a", seed: 1)
        let before = try Self.bytes(url, "vae")
        let error = #expect(throws: ModelError.self) { try RandomModel(.tiny, seed: 2).write(to: url) }
        #expect(error?.description.contains("not replaced") == true)
        #expect(try Self.bytes(url, "vae") == before)

        struct Stop: Error {}
        var pieces = 0
        #expect(throws: (any Error).self) {
            try RandomModel(.tiny, seed: 2).write(to: URL(fileURLWithPath: folder.file("b"))) { _ in
                pieces += 1
                if pieces == 10 { throw Stop() }
            }
        }
        #expect(folder.contents == ["a"])
    }

    @Test func progressAddsUp() throws {
        let folder = try TemporaryFolder()
        let model = try RandomModel(.tiny, seed: 1, dtype: .bfloat16)
        var (written, finished) = (0, [String: Int]())
        try model.write(to: URL(fileURLWithPath: folder.file("a"))) {
            switch $0 {
            case .wrote(let bytes): written += bytes
            case .finished(let component, let bytes): finished[component] = bytes
            }
        }
        #expect(
            written == model.byteCount && finished.keys.sorted() == model.componentNames
                && finished.values.reduce(0, +) == written)
        #expect(model.parameterCount * 2 == model.byteCount)
    }

    /// SDXL has 2567 million parameters and 84 million in its autoencoder; counting them takes no memory.
    @Test func theFullSize() throws {
        let model = try RandomModel(.full, seed: 0)
        #expect(model.parameterCount == 2_567_463_684 + 83_653_863)
        #expect(throws: ModelError.self) { try RandomModel(.tiny, seed: 0, dtype: .int8) }
    }
}
