import Foundation
import InverseProblems
import LatentDiffusion
import TensorKit
import TestSupport
import Testing
import Weights

@testable import VisionXL

/// A denoiser of single pixels: a Gaussian prior of variance v about mid-grey has the estimate x v / (v + sigma^2).
struct WienerDenoiser: NoiseConditionalDenoiser {
    let device = Device.cpu
    let frameMultiple = 1
    let sigmas = 0.0...1e9
    var variance = 0.25

    func denoise(_ noisy: Tensor, sigma: Double) throws -> Tensor { try noisy * (variance / (variance + sigma * sigma)) }
}

/// Blurs: what a tile sees of its neighbours matters.
struct BlurDenoiser: NoiseConditionalDenoiser {
    let device = Device.cpu
    let frameMultiple = 1
    let sigmas = 0.0...1e9

    func denoise(_ noisy: Tensor, sigma: Double) throws -> Tensor { try GaussianBlur(size: 7, sigma: 1).apply(noisy) }
}

@Suite struct PixelSpaceTests {
    @Test func theSolversCleanEstimateIsTheDenoisers() throws {
        let prior = PixelSpacePrior(WienerDenoiser())
        var random = RandomGenerator(seed: 1)
        let Z = try random.normal([2, 3, 8, 8]) * 0.2
        for t in [1, 200, 991] {
            let abar = prior.schedule.alphaBar(t)
            let sigma = ((1 - abar) / abar).squareRoot()
            let clean = try Z.adding(prior.predictNoise(Z, timestep: t), times: -(1 - abar).squareRoot()) / abar.squareRoot()
            let expected = try WienerDenoiser().estimate(Z / abar.squareRoot(), sigma: sigma)
            #expect(try (clean - expected).absolute().maximum().item() < 1e-4 / abar.squareRoot())
        }
        #expect(try prior.predictNoise(Z, timestep: 0).absolute().maximum().item() == 0)
        #expect(prior.latentShape(frames: 2, height: 5, width: 7) == [2, 3, 5, 7])
    }

    @Test(arguments: [(8, 0), (8, 4), (10, 3), (16, 8), (64, 8)]) func theTilesOfAPointwiseDenoiserShowNothing(tile: Int, overlap: Int) throws {
        let whole = PixelSpacePrior(WienerDenoiser())
        let tiled = try PatchedPrior(whole, tile: tile, overlap: overlap)
        var random = RandomGenerator(seed: 1)
        let Z = try random.normal([2, 3, 21, 34])
        for t in [1, 991] {
            #expect(try relativeError(tiled.predictNoise(Z, timestep: t), whole.predictNoise(Z, timestep: t)) < 1e-6)
        }
    }

    /// Every place's weights add up to one, rise and fall smoothly, and the tiles cover the whole axis.
    @Test(arguments: [1, 7, 16, 17, 24, 31, 100]) func theWindowsArePartitionsOfUnity(length: Int) throws {
        let places = try PatchedPrior(PixelSpacePrior(WienerDenoiser()), tile: 16, overlap: 6).places(length)
        var total = [Float](repeating: 0, count: length)
        for (start, weights) in places {
            for (pixel, weight) in weights.enumerated() {
                #expect(weight >= 0 && weight <= 1)
                total[start + pixel] += weight
            }
            for (a, b) in zip(weights, weights.dropFirst()) { #expect(abs(a - b) < 0.35) }
        }
        for sum in total { #expect(abs(sum - 1) < 1e-6) }
    }

    /// Where a network looks at neighbours, tiles differ from the whole only by what the tiles' edges cut off, and the blend hides it: no
    /// larger a step where tiles meet than elsewhere.
    @Test func tilesLeaveNoSeam() throws {
        let whole = PixelSpacePrior(BlurDenoiser())
        let tiled = try PatchedPrior(whole, tile: 32, overlap: 16)
        let Z = try SolverTests.video(1, 32, 80)
        let (a, b) = (try whole.predictNoise(Z, timestep: 300), try tiled.predictNoise(Z, timestep: 300))
        #expect(try (a - b).absolute().maximum().item() < 0.05 * a.absolute().maximum().item())
        let steps = try ((a - b).narrow(3, from: 1, count: 79) - (a - b).narrow(3, from: 0, count: 79)).absolute().maximum().item()
        let own = try (a.narrow(3, from: 1, count: 79) - a.narrow(3, from: 0, count: 79)).absolute().maximum().item()
        #expect(steps < 0.1 * own)
    }

    @Test(arguments: [(0, 0), (8, -1), (8, 5)]) func tilesOutOfRangeAreRefused(tile: Int, overlap: Int) {
        #expect(throws: RestorationError.self) { try PatchedPrior(PixelSpacePrior(WienerDenoiser()), tile: tile, overlap: overlap) }
    }

    @Test func svisFramesStartTogetherAndDDSsApart() throws {
        let Y = try SolverTests.video(3, 12, 16)
        for (options, isShared) in [(RestorationOptions.svi, true), (.dds, false)] {
            var solver = Solver(prior: PixelSpacePrior(WienerDenoiser()), options: options)
            #expect(solver.timesteps.count == 100 && solver.timesteps.first == 991)
            let run = try Solver<PixelSpacePrior<WienerDenoiser>>.Run(solver, Y, Identity()) { _ in }
            var starting = run
            let Z = try starting.start()
            #expect(Z.shape == Y.shape)
            #expect(try ((Z.rows(0..<1) - Z.rows(1..<2)).norm() == 0) == isShared)
            #expect(try run.noise(0).size(0) == (isShared ? 1 : 3))
            #expect(try abs(Z.squared().mean().item() - 1) < 0.15)
            solver.options.steps = 8
            let result = try solver.restore(Y, operator: GaussianBlur(size: 5, sigma: 1))
            #expect(result.frames.shape == Y.shape)
            #expect(result.residuals.count == 8)
        }
    }

    /// On measurements whose frames do not depend on each other, DDS restores a frame as it would by itself but for its noise; with the
    /// frame's own conjugate gradients one hard frame does not change another.
    @Test func ddsSolvesFramesAloneWhereTheOperatorLetsIt() throws {
        let Y = try SolverTests.video(2, 12, 16)
        var louder = Y
        try louder.add(SolverTests.video(1, 12, 16, seed: 8), times: 3, at: [1, 0, 0, 0])
        var solver = Solver(prior: PixelSpacePrior(WienerDenoiser()), options: .dds)
        solver.options.steps = 6
        let blur = try GaussianBlur(size: 5, sigma: 1)
        func first(_ Y: Tensor, _ A: any LinearOperator) throws -> Tensor { try solver.restore(Y, operator: A).frames.rows(0..<1) }
        #expect(try (first(Y, blur) - first(louder, blur)).absolute().maximum().item() < 1e-5)
        solver.options.solvesFramesAlone = false
        #expect(try (first(Y, blur) - first(louder, blur)).absolute().maximum().item() > 1e-5)
        // The residuals are the whole video's.
        solver.options.solvesFramesAlone = true
        let result = try solver.restore(louder, operator: blur)
        let last = try #require(result.residuals.last)
        #expect(try abs((louder - blur.apply(result.frames)).norm() / louder.norm() - last.after) < 1e-5)
    }

    @Test func optionsSurviveAFile() throws {
        for options in [RestorationOptions.svi, .dds, .paper, RestorationOptions()] {
            try options.validate()
            #expect(try JSONDecoder().decode(RestorationOptions.self, from: JSONEncoder().encode(options)) == options)
        }
    }

    static let hasFFDNet = NetworkLibrary.isAvailable(.ffdnetColor)

    /// SVI's numbers with FFDNet, few steps: the measurement is explained, and the frames are closer to the truth than a blurred
    /// measurement is, or not much further from it than the enlargement of a small one.
    @Test(
        .enabled(if: hasFFDNet, "FFDNet was not fetched: make setup"),
        arguments: [("sr4", 1e-3, 1.5), ("deblur", 0.1, 0.8)])
    func sviRestoresWithFFDNet(task: String, residual: Double, ratio: Double) throws {
        let truth = try SolverTests.video(3, 64, 64)
        let A = try Problem(task: task).operator(height: 64, width: 64)
        let Y = try A.apply(truth)
        var solver = Solver(prior: PixelSpacePrior(try FFDNet()), options: .svi)
        solver.options.steps = 20
        let result = try solver.restore(Y, operator: A)
        #expect(try #require(result.residuals.last).after < residual)
        let measured = try UpsamplingRestorer().restore(Y, operator: A).frames
        #expect(try (result.frames - truth).norm() < ratio * (measured - truth).norm())
    }
}
