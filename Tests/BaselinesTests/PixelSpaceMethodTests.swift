import Baselines
import Foundation
import InverseProblems
import PixelPriors
import TensorKit
import Testing
import Weights

@testable import VisionXL

/// A denoiser of single pixels: a Gaussian prior of variance v about mid-grey has the estimate x v / (v + sigma^2).
private struct WienerDenoiser: NoiseConditionalDenoiser {
    let device = Device.cpu
    let frameMultiple = 1
    let sigmas = 0.0...1e9
    var variance = 0.25

    func denoise(_ noisy: Tensor, sigma: Double) throws -> Tensor {
        try noisy * (variance / (variance + sigma * sigma))
    }
}

/// SVI and DDS: Algorithm 1 with their numbers, and a prior in pixel space.
@Suite struct PixelSpaceMethodTests {
    private static func video(_ frames: Int, _ height: Int, _ width: Int, seed: UInt64 = 3) throws -> Tensor {
        var random = RandomGenerator(seed: seed)
        return try GaussianBlur(size: 9, sigma: 2).apply(random.normal([frames, 3, height, width])).clamped(to: -1...1)
    }

    private static func exact(_ Y: Tensor, _ A: any LinearOperator) throws -> VideoMeasurement {
        try VideoMeasurement(Y, operator: A, noise: .none)
    }

    @Test func svisFramesStartTogetherAndDDSsApart() throws {
        let truth = try Self.video(3, 12, 16)
        let Y = try Self.exact(truth, Identity())
        for (options, isShared) in [(RestorationOptions.svi, true), (.dds, false)] {
            var solver = Solver(prior: PixelSpacePrior(WienerDenoiser()), options: options)
            let settings = try solver.settle(Y)
            #expect(settings.timesteps.count == 100 && settings.timesteps.first == 991)
            var algorithm = try solver.algorithm(settings, Y) { _ in }
            let Z = try algorithm.start()
            #expect(Z.shape == truth.shape)
            #expect(try ((Z.rows(0..<1) - Z.rows(1..<2)).norm() == 0) == isShared)
            #expect(try algorithm.noise(0).size(0) == (isShared ? 1 : 3))
            #expect(try abs(Z.squared().mean().item() - 1) < 0.15)
            solver.options.steps = 8
            let result = try solver.restore(Self.exact(truth, GaussianBlur(size: 5, sigma: 1)))
            #expect(result.frames.shape == truth.shape)
            #expect(result.residuals.count == 8)
        }
    }

    /// On measurements whose frames do not depend on each other, DDS restores a frame as it would by itself but for
    /// its noise; with the frame's own conjugate gradients one hard frame does not change another.
    @Test func ddsSolvesFramesAloneWhereTheOperatorLetsIt() throws {
        let Y = try Self.video(2, 12, 16)
        var louder = Y
        try louder.add(Self.video(1, 12, 16, seed: 8), times: 3, at: [1, 0, 0, 0])
        var solver = Solver(prior: PixelSpacePrior(WienerDenoiser()), options: .dds)
        solver.options.steps = 6
        let blur = try GaussianBlur(size: 5, sigma: 1)
        func first(_ Y: Tensor) throws -> Tensor { try solver.restore(Self.exact(Y, blur)).frames.rows(0..<1) }
        #expect(try (first(Y) - first(louder)).absolute().maximum().item() < 1e-5)
        solver.options.solvesFramesAlone = false
        #expect(try (first(Y) - first(louder)).absolute().maximum().item() > 1e-5)
        // The residuals are the whole video's.
        solver.options.solvesFramesAlone = true
        let result = try solver.restore(Self.exact(louder, blur))
        let last = try #require(result.residuals.last)
        #expect(try abs((louder - blur.apply(result.frames)).norm() / louder.norm() - last.after) < 1e-5)
    }

    @Test func optionsSurviveAFile() throws {
        for options in [RestorationOptions.svi, .dds] {
            try options.validate()
            #expect(try JSONDecoder().decode(RestorationOptions.self, from: JSONEncoder().encode(options)) == options)
        }
    }

    static let hasFFDNet = NetworkLibrary.isAvailable(.ffdnetColor)

    /// SVI's numbers with FFDNet, few steps: the measurement is explained, and the frames are closer to the truth than
    /// a blurred measurement is, or not much further from it than the enlargement of a small one.
    @Test(
        .enabled(if: hasFFDNet, "FFDNet was not fetched: make setup"),
        arguments: [("sr4", 1e-3, 1.5), ("deblur", 0.1, 0.8)])
    func sviRestoresWithFFDNet(task: String, residual: Double, ratio: Double) throws {
        let truth = try Self.video(3, 64, 64)
        let A = try Problem(task: task).operator(height: 64, width: 64)
        let Y = try Self.exact(A.apply(truth), A)
        var solver = Solver(prior: PixelSpacePrior(try FFDNet()), options: .svi)
        solver.options.steps = 20
        let result = try solver.restore(Y)
        #expect(try #require(result.residuals.last).after < residual)
        let enlarged = try UpsamplingRestorer().restore(Y).frames
        #expect(try (result.frames - truth).norm() < ratio * (enlarged - truth).norm())
    }
}
