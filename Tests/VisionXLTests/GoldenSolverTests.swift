import Foundation
import InverseProblems
import LatentDiffusion
import TensorKit
import TestSupport
import Testing
import Weights

@testable import VisionXL

/// The whole solver with the built-in prior and its own noise, against an implementation of its own in Python with diffusers
/// (Benchmarks/reference/visionxl.py), on a real clip. make_fixtures.py beside it says what the file holds, and makes it anew when
/// Models/builtin has changed. They differ by 6e-7.
@Suite struct GoldenSolverTests {
    /// All tensors of a target's `Fixtures/NAME.safetensors`.
    static func fixture(_ name: String, of target: String = "VisionXLTests") throws -> [String: Tensor] {
        let file = projectRoot.appendingPathComponent("Tests/\(target)/Fixtures/\(name).safetensors")
        return try SafetensorsFile(at: file).tensors()
    }

    @Test(arguments: ["sr4+", "deblur+", "inpaint", "sr4+ paper"]) func theSameFrames(run: String) throws {
        let words = run.split(separator: " ").map(String.init)
        let isPaper = words.count > 1
        let reference = try Self.fixture("visionxl")
        let model = try LatentDiffusionModel(
            at: projectRoot.appendingPathComponent("Models/builtin"), dtype: .float32, device: .cpu, format: .contiguous
        )
        var options = RestorationOptions.paper
        if !isPaper {
            options.upsampling = .bicubic
            options.finalConsistencySteps = 10
        }
        options.seed = 1
        let A = try Problem(task: words[0]).operator(height: 48, width: 64)
        // What stands in the holes was not measured, which a measurement knows.
        let Y = try reference.require("\(words[0]).measurement").to(.float32) * (2.0 / 255) - 1

        let result = try Solver(prior: LatentDiffusionPrior(model), options: options).restore(measured(Y, A)).frames
        let frames = try reference.require(words[0] + (isPaper ? ".paper" : ".frames"))
        for (row, frame) in [0, 4].enumerated() {
            let error = try relativeError(result.rows(frame..<frame + 1), frames.rows(row..<row + 1))
            #expect(error < 1e-5, "frame \(frame)")
        }
    }

    @Test func theSameMask() throws {
        let mask = try Self.fixture("admm_tv", of: "BaselinesTests").require("inpaint.mask").to(.float32)
        let ours = try Mask.random(ratio: 0.5, seed: 0, height: 64, width: 96).mask
        #expect(try (ours - mask).norm() == 0)
    }
}
