import Diffusion
import InverseProblems
import Networks
import TensorKit
import TestSupport
import Testing

@testable import PixelPriors

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

/// Blurs: what a tile sees of its neighbours matters.
private struct BlurDenoiser: NoiseConditionalDenoiser {
    let device = Device.cpu
    let frameMultiple = 1
    let sigmas = 0.0...1e9

    func denoise(_ noisy: Tensor, sigma: Double) throws -> Tensor { try GaussianBlur(size: 7, sigma: 1).apply(noisy) }
}

/// Denoisers as priors, whole and in tiles.
@Suite struct PixelSpacePriorTests {
    @Test func theSolversCleanEstimateIsTheDenoisers() throws {
        let prior = PixelSpacePrior(WienerDenoiser())
        var random = RandomGenerator(seed: 1)
        let Z = try random.normal([2, 3, 8, 8]) * 0.2
        for t in [1, 200, 991] {
            let abar = prior.schedule.alphaBar(t)
            let sigma = ((1 - abar) / abar).squareRoot()
            let clean =
                try Z.adding(prior.predictNoise(Z, timestep: t), times: -(1 - abar).squareRoot()) / abar.squareRoot()
            let expected = try WienerDenoiser().estimate(Z / abar.squareRoot(), sigma: sigma)
            #expect(try (clean - expected).absolute().maximum().item() < 1e-4 / abar.squareRoot())
        }
        #expect(try prior.predictNoise(Z, timestep: 0).absolute().maximum().item() == 0)
        #expect(prior.latentShape(frames: 2, height: 5, width: 7) == [2, 3, 5, 7])
    }

    @Test(arguments: [(8, 0), (8, 4), (10, 3), (16, 8), (64, 8)])
    func theTilesOfAPointwiseDenoiserShowNothing(tile: Int, overlap: Int) throws {
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

    /// Where a network looks at neighbours, tiles differ from the whole only by what the tiles' edges cut off, and the
    /// blend hides it: no larger a step where tiles meet than elsewhere.
    @Test func tilesLeaveNoSeam() throws {
        let whole = PixelSpacePrior(BlurDenoiser())
        let tiled = try PatchedPrior(whole, tile: 32, overlap: 16)
        var random = RandomGenerator(seed: 3)
        let Z = try GaussianBlur(size: 9, sigma: 2).apply(random.normal([1, 3, 32, 80])).clamped(to: -1...1)
        let (a, b) = (try whole.predictNoise(Z, timestep: 300), try tiled.predictNoise(Z, timestep: 300))
        #expect(try (a - b).absolute().maximum().item() < 0.05 * a.absolute().maximum().item())
        func largestStep(_ x: Tensor) throws -> Double {
            try (x.narrow(3, from: 1, count: 79) - x.narrow(3, from: 0, count: 79)).absolute().maximum().item()
        }
        #expect(try largestStep(a - b) < 0.1 * largestStep(a))
    }

    @Test(arguments: [(0, 0), (8, -1), (8, 5)]) func tilesOutOfRangeAreRefused(tile: Int, overlap: Int) {
        #expect(throws: ModelError.self) {
            try PatchedPrior(PixelSpacePrior(WienerDenoiser()), tile: tile, overlap: overlap)
        }
    }
}
