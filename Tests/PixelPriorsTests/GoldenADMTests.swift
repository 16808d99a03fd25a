import Diffusion
import Foundation
import Networks
import TensorKit
import TestSupport
import Testing
import Weights

@testable import PixelPriors

/// ADM's network against `Benchmarks/reference/adm.py`, which made the fixtures.
@Suite struct GoldenADMTests {
    static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

    static func configuration(_ name: String) throws -> [String: Any] {
        let data = try Data(contentsOf: fixtures.appendingPathComponent("adm.json"))
        let all = try #require(JSONSerialization.jsonObject(with: data) as? [String: [String: Any]])
        return try #require(all[name])
    }

    /// Writes weights and configuration as they come, and opens them.
    static func network(
        _ folder: TemporaryFolder, _ configuration: [String: Any], _ weights: [String: SafetensorsWriter.Array]
    ) throws
        -> ADMUNet
    {
        let url = URL(fileURLWithPath: folder.file("adm.safetensors"))
        try SafetensorsWriter.write(weights, to: url)
        try JSONSerialization.data(withJSONObject: configuration).write(
            to: URL(fileURLWithPath: folder.file("adm.json")))
        return try ADMUNet(weights: url)
    }

    @Test(arguments: ["tiny", "other"]) func agreesWithPyTorch(name: String) throws {
        let fixture = try SafetensorsFile(at: Self.fixtures.appendingPathComponent("adm.safetensors")).tensors()
        var weights: [String: SafetensorsWriter.Array] = [:]
        for prefix in ["tiny/", "\(name)/"] {
            for (key, levels) in fixture where key.hasPrefix(prefix) && !key.hasSuffix(":scale") {
                let values: [Float] = try (levels.to(.float32) * fixture.require(key + ":scale").item()).array()
                weights[String(key.dropFirst(prefix.count))] = .init(
                    dtype: .f32, shape: levels.shape, bytes: values.withUnsafeBytes { Data($0) })
            }
        }
        // The tiny network has tensors that the other has not.
        if name == "other" {
            for key in weights.keys where key.contains("input_blocks.2.0.") && !key.contains(".op.") {
                weights[key] = nil
            }
            for key in weights.keys where key.contains("output_blocks.1.2.") && !key.contains(".conv.") {
                weights[key] = nil
            }
        }
        let folder = try TemporaryFolder()
        let network = try Self.network(folder, Self.configuration(name), weights)
        let input = try fixture.require("input")
        for timestep in [0, 990] {
            let expected = try fixture.require("\(name):output:\(timestep)")
            let output = try network(input, timestep: timestep)
            #expect(output.shape == expected.shape)
            #expect(try relativeError(output, expected) < 1e-4)
        }
    }

    /// The names and shapes of every tensor of the 256 x 256 model, an eighth as wide: none is missing, none is left over.
    @Test func theLargeModelsTensorsAreAllUsed() throws {
        let text = try String(contentsOf: Self.fixtures.appendingPathComponent("adm-names.txt"), encoding: .utf8)
        var weights: [String: SafetensorsWriter.Array] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            let shape = words.dropFirst().compactMap { Int($0) }
            weights[String(words[0])] = .init(dtype: .f16, shape: shape, bytes: Data(count: 2 * shape.reduce(1, *)))
        }
        #expect(weights.count == 566)
        let folder = try TemporaryFolder()
        let network = try Self.network(folder, Self.configuration("large"), weights)
        #expect(network.configuration.multiple == 32)
        #expect(try network(.ones([1, 3, 32, 32]), timestep: 5).absolute().maximum().item() == 0)
        #expect(throws: ModelError.self) { try network(.ones([1, 3, 48, 32]), timestep: 5) }
        weights["out.0.weight"] = nil
        #expect(throws: WeightsError.self) { try Self.network(TemporaryFolder(), Self.configuration("large"), weights) }
    }

    @Test func defaultsAreGuidedDiffusions() throws {
        func read(_ json: String) throws -> ADMUNet.Configuration {
            try .init(ConfigurationReader(data: Data(json.utf8), path: "adm.json"))
        }
        #expect(try read("{}") == ADMUNet.Configuration())
        #expect(try read(#"{"image_size": 256, "channel_mult": ""}"#).multipliers == [1, 1, 2, 2, 4, 4])
        #expect(try read(#"{"channel_mult": [1, 2], "num_head_channels": -1}"#).multipliers == [1, 2])
        #expect(try read(#"{"num_heads": 2}"#).headsOnTheWayUp == 2)
        for refused in [
            #"{"class_cond": true}"#, #"{"noise_schedule": "cosine"}"#, #"{"predict_xstart": true}"#,
            #"{"image_size": 48}"#,
            #"{"channel_mult": "1,x"}"#, #"{"channel_mult": "0"}"#, #"{"num_head_channels": 0}"#, #"{"new_key": 1}"#,
        ] {
            #expect(throws: ModelError.self, "\(refused)") { try read(refused) }
        }
    }

    @Test func theLinearScheduleIsHos() {
        let schedule = DDIMSchedule.linear()
        #expect(schedule.trainingSteps == 1000)
        #expect(abs(schedule.cumulativeAlphas[0] - (1 - 1e-4)) < 1e-12)
        // The product's logarithm is about -sum of betas - half the sum of their squares.
        #expect(abs(schedule.cumulativeAlphas[999] - 4.0358e-5) < 1e-8)
        #expect(schedule.timesteps(100).first == 991 && schedule.timesteps(100).last == 1)
        #expect(DDIMSchedule.linear(steps: 1).trainingSteps == 1)
    }
}
