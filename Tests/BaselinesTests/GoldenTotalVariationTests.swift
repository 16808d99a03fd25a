import Baselines
import Foundation
import InverseProblems
import Metrics
import TensorKit
import TestSupport
import Testing
import VisionXL
import Weights

/// ADMM-TV beside an implementation in PyTorch (Benchmarks/reference/admm_tv.py, in float64), on nine frames of a real clip.
///
/// Made by `python Benchmarks/reference/make_fixtures.py admm_tv`; its docstring says what is in the file.
@Suite struct GoldenTotalVariationTests {
    private static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
        "Fixtures/admm_tv.safetensors")

    @Test(arguments: ["sr4", "deblur", "inpaint", "sr4+", "deblur+", "inpaint+"])
    func agreesWithPyTorch(_ task: String) throws {
        let fixture = try SafetensorsFile(at: Self.file).tensors()
        let truth = try fixture.require("truth").to(.float32) * (2.0 / 255) - 1
        var problem = try Problem(task: task)
        if problem.stage(Holes.self) != nil { problem.set(Holes(file: "mask")) }
        let mask = try fixture.require("inpaint.mask").to(.float32)
        let A = try problem.operator(height: truth.size(2), width: truth.size(3), files: ["mask": mask])
        let result = try ADMMTotalVariation().restore(VideoMeasurement(A.apply(truth), operator: A, noise: .none))
        let objective = try fixture.require("\(task).objective").array(of: Double.self)
        let decibels = try fixture.require("\(task).psnr").array(of: Double.self)
        let (lastObjective, lastDecibels) = (try #require(objective.last), try #require(decibels.last))
        let ours = try #require(result.objectives.last)
        #expect(abs(ours / lastObjective - 1) < 1e-5, "\(ours) against \(lastObjective)")
        // The same number as the reference's: of the clamped result.
        let measured = try psnr(result.frames.clamped(to: -1...1), truth).mean
        #expect(abs(measured - lastDecibels) < 0.005, "\(measured) dB against \(lastDecibels)")
    }
}
