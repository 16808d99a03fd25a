import Foundation
import InverseProblems
import LatentDiffusion
import TensorKit
import TestSupport
import Testing

@testable import VisionXL

/// Algorithm 1 against a run of it in Python with diffusers: every intermediate of the first step, and the result.
@Suite struct GoldenPipelineTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var set: Golden
        var task: String
        var device: Device
        var testDescription: String { "\(task) of \(set.testDescription) on \(device)" }

        static let all: [Case] = {
            let devices: [Device] = Engine.cudaDeviceCount > 0 ? [.cpu, .cuda(0)] : [.cpu]
            return Golden.sets.flatMap { set in
                devices.flatMap { device in set.pipelines.map { Case(set: set, task: $0, device: device) } }
            }
        }()
    }

    static func prior(_ running: Case, _ golden: [String: Tensor], _ dtype: DType) throws -> LatentDiffusionPrior {
        // float32 is for checking, and lies as the reference did; bfloat16 is for running.
        var model = try LatentDiffusionModel(
            at: running.set.model, dtype: dtype, device: running.device,
            format: dtype == .float32 ? .contiguous : .channelsLast)
        model.text = TextConditioning(
            prompt: PromptEmbedding(context: try golden.require("context"), pooled: try golden.require("pooled")))
        return LatentDiffusionPrior(model)
    }

    /// The operator of a pipeline file, with the parameters that the golden operators were made with.
    static func problem(_ running: Case, _ golden: [String: Tensor]) throws -> any LinearOperator {
        let operators = try running.set.operators()
        let spatial: any LinearOperator
        switch running.task.prefix(while: { $0 != "+" }) {
        case "deblur": spatial = try GaussianBlur(size: operators.blurSize, sigma: operators.blurSigma)
        case "inpaint": spatial = try Mask(operators.mask)
        default:
            let factor = try golden.require("first_frame").size(2) / golden.require("measurement").size(2)
            spatial = try AveragePooling(factor: factor)
        }
        guard running.task.hasSuffix("+") else { return spatial }
        return Composition(first: try TemporalAverage(window: operators.window), second: spatial)
    }

    @Test(arguments: Case.all) func everyIntermediate(_ running: Case) throws {
        let golden = try running.set.tensors("pipeline-\(running.task)")
        var options = RestorationOptions.paper
        options.lowPassTaps = 15
        var solver = try Solver(prior: Self.prior(running, golden, .float32), options: options)
        let A = try Self.problem(running, golden)
        let noise: @Sendable (Int) throws -> Tensor = { try golden.require("step\($0).noise").to(running.device) }
        solver.noise = noise
        func expectClose(_ tensor: Tensor, _ name: String) throws {
            let error = try relativeError(tensor, golden.require(name))
            #expect(error < 1e-3, "\(name)")
        }

        // The steps of the first iteration, each from our own result of the one before.
        let measurement = try measured(golden.require("measurement"), A).forRestoring(on: running.device)
        var run = try solver.algorithm(measurement)
        try expectClose(run.networks.encode(golden.require("first_frame").to(running.device)), "z_y1")
        let Z = try run.start()
        for row in 0..<Z.size(0) { try expectClose(Z.rows(row..<row + 1), "z_tau") }
        let t = run.settings.timesteps[0]
        let noisePrediction = try run.networks.predictNoise(Z, t)
        let Xhat = try run.networks.decode(run.tweedie(Z, noisePrediction, t))
        try expectClose(Xhat, "step0.denoised")
        let Xbar = try run.dataConsistency(run.settings.dataStep, Xhat, t, .consistency).frames
        try expectClose(Xbar, "step0.consistent")
        let filtered = try run.lowPass(Xbar, t)
        try expectClose(filtered, "step0.filtered")
        let Zbar = try run.networks.encode(filtered)
        try expectClose(Zbar, "step0.encoded")
        try expectClose(run.renoise(Zbar, noisePrediction, to: run.settings.timesteps[1], with: noise(0)), "step0.next")

        // The whole of it.
        let result = try solver.restore(measurement)
        try expectClose(result.frames, "result")
        try expectClose(result.frames, "step\(run.settings.timesteps.count - 1).denoised")
        #expect(result.residuals.count == run.settings.timesteps.count - 1)
    }

    /// bfloat16 cannot follow a whole run of a network of random weights: Tweedie's formula doubles a pass's rounding error, the
    /// decoder doubles it again, and eight steps compound it (diffusers' own runs in bfloat16 drift as far). So each network pass
    /// of the pipeline is held against the reference, from the reference's own inputs.
    @Test(arguments: Case.all) func everyNetworkPassInBFloat16(_ running: Case) throws {
        let golden = try running.set.tensors("pipeline-\(running.task)")
        let exact = try Self.prior(running, golden, .float32)
        let rough = try Self.prior(running, golden, .bfloat16)
        func input(_ name: String) throws -> Tensor { try golden.require(name).to(running.device) }
        func expectClose(_ tensor: Tensor, _ expected: Tensor, _ name: Comment) throws {
            let error = try relativeError(tensor, expected)
            #expect(error < 3e-2, name)
        }
        try expectClose(rough.encode(input("first_frame"), samplingWith: nil), input("z_y1"), "encoder")
        try expectClose(rough.encode(input("step0.filtered"), samplingWith: nil), input("step0.encoded"), "encoder")
        let Z = try input("z_tau")
        let t = try #require(exact.schedule.timesteps(25).first { $0 <= 300 })
        let noisePrediction = try exact.predictNoise(Z, timestep: t)
        try expectClose(rough.predictNoise(Z, timestep: t), noisePrediction, "noise prediction")
        let abar = exact.schedule.alphaBar(t)
        let Zhat = try Z.adding(noisePrediction, times: -(1 - abar).squareRoot()) / abar.squareRoot()
        try expectClose(rough.decode(Zhat), input("step0.denoised").rows(0..<1), "decoder")
    }
}
