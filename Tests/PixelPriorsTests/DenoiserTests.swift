import Foundation
import Networks
import TensorKit
import TestSupport
import Testing
import Weights

@testable import PixelPriors

/// Keeps what it was asked; its estimate is what it was given.
struct Echo: NoiseConditionalDenoiser {
    let device = Device.cpu
    let frameMultiple = 2
    let sigmas = 0.1...0.5

    func denoise(_ noisy: Tensor, sigma: Double) throws -> Tensor {
        guard noisy.size(2) % 2 == 0, noisy.size(3) % 2 == 0 else { throw ModelError.mismatch("frames must be padded") }
        guard sigmas.contains(sigma) || abs(sigma - 0.5) < 1e-12 else {
            throw ModelError.mismatch("sigma \(sigma) is out of range")
        }
        return noisy
    }
}

@Suite struct DenoiserTests {
    /// Whatever the sigma, the network is asked within its range, and a flat picture keeps its level.
    @Test(arguments: [0, 0.1, 0.4, 0.9, 1.7, 30, 1000]) func everySigmaIsBroughtIntoRange(sigma: Double) throws {
        let flat = try Tensor.full([2, 3, 13, 18], 0.25)
        let estimate = try Echo().estimate(flat, sigma: sigma)
        #expect(estimate.shape == flat.shape)
        #expect(try (estimate - flat).absolute().maximum().item() < 1e-5)
    }

    @Test func theEstimateStaysInRange() throws {
        #expect(try Echo().estimate(.full([1, 3, 4, 4], 9), sigma: 0.2).maximum().item() == 1)
    }

    static let hasFFDNet = NetworkLibrary.isAvailable(.ffdnetColor)

    /// White noise on a smooth picture: the network takes most of it away, at strengths in its range and beyond.
    @Test(
        .enabled(if: hasFFDNet, "FFDNet was not fetched: make setup"),
        arguments: [(0.1, 0.25), (0.5, 0.2), (2, 0.15), (20, 0.1)])
    func ffdnetRemovesNoise(sigma: Double, remaining: Double) throws {
        let network = try FFDNet()
        var values: [Double] = []
        for _ in 0..<3 {
            for i in 0..<64 { for j in 0..<64 { values.append(0.5 * sin(Double(i) / 9) * cos(Double(j) / 11)) } }
        }
        let clean = try Tensor(values, shape: [1, 3, 64, 64]).to(.float32)
        var random = RandomGenerator(seed: 2)
        let noisy = try clean.adding(random.normal(clean.shape), times: sigma)
        let estimate = try network.estimate(noisy, sigma: sigma)
        let (before, after) = (try (noisy - clean).norm(), try (estimate - clean).norm())
        #expect(after < remaining * before)
        #expect(throws: ModelError.self) { try network.denoise(.zeros([1, 3, 5, 4]), sigma: 0.1) }
    }
}
