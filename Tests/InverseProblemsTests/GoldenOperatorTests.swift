import Foundation
import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

/// Operators and data step against PyTorch.
@Suite struct GoldenOperatorTests {
    static let tasks = ["sr4", "deblur", "inpaint", "sr4+", "deblur+", "inpaint+"]

    /// The task with the sizes and the mask of the golden set.
    static func problem(_ task: String, _ golden: GoldenOperators) throws -> any LinearOperator {
        #expect(golden.tensors.values.allSatisfy { $0.dtype == .float32 })
        let video = try golden.tensors.require("video")
        var problem = try Problem(task: task)
        if problem.stage(Blur.self) != nil { problem.set(Blur(sigma: golden.blurSigma, size: golden.blurSize)) }
        if problem.stage(Average.self) != nil { problem.set(Average(frames: golden.window)) }
        if problem.stage(Holes.self) != nil { problem.set(Holes(file: "mask")) }
        if let scale = problem.stage(Shrink.self)?.factor, let pooled = golden.tensors["\(task).forward"] {
            #expect(pooled.size(2) * scale == video.size(2))
        }
        return try problem.operator(height: video.size(2), width: video.size(3), files: ["mask": golden.mask])
    }

    @Test(arguments: tasks, Golden.sets) func forwardAndAdjoint(task: String, set: Golden) throws {
        let operators = try set.operators()
        let problem = try Self.problem(task, operators)
        let golden = operators.tensors
        let forward = try relativeDistance(problem.apply(golden.require("video")), golden.require("\(task).forward"))
        let spatial = task.replacingOccurrences(of: "+", with: "")
        let adjoint = try relativeDistance(
            problem.adjoint(golden.require("\(spatial).adjoint_in")), golden.require("\(task).adjoint"))
        #expect(forward < 1e-5)
        #expect(adjoint < 1e-5)
    }

    @Test(arguments: Golden.sets) func lowPass(set: Golden) throws {
        let golden = try set.operators().tensors
        let names = golden.keys.filter { $0.hasPrefix("lowpass.") }
        #expect(!names.isEmpty)
        for name in names {
            let sigma = try #require(Double(name.dropFirst("lowpass.".count)))
            let result = try GaussianBlur.lowPass(sigma: sigma, taps: 15).apply(golden.require("video"))
            #expect(try relativeDistance(result, golden.require(name)) < 1e-5)
        }
    }

    /// Ten steps on the normal equations with the true adjoint.
    @Test(arguments: ["sr4+", "deblur+", "inpaint"], Golden.sets) func dataConsistency(task: String, set: Golden) throws
    {
        let golden = try set.tensors("pipeline-\(task)")
        #expect(golden.values.allSatisfy { $0.dtype == .float32 })
        let problem = try Self.problem(task, set.operators())
        let measurement = try golden.require("measurement")
        for step in 0..<golden.keys.filter({ $0.hasSuffix(".consistent") }).count {
            let (x, _) = try conjugateGradients(
                problem, measurement: measurement, start: golden.require("step\(step).denoised"))
            #expect(try relativeDistance(x, golden.require("step\(step).consistent")) < 1e-3)
        }
    }
}
