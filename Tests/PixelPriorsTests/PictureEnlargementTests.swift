import Diffusion
import Foundation
import TensorKit
import Testing

@testable import PixelPriors

@Suite(.enabled(if: PictureEnlargement.isAvailable, "SPAN or FFDNet was not fetched: make setup"))
struct PictureEnlargementTests {
    @Test func enlargesAndTakesNoiseAway() throws {
        let networks = try PictureEnlargement()
        var values: [Double] = []
        for channel in 0..<3 {
            for y in 0..<24 {
                for x in 0..<31 { values.append(0.5 * sin(Double(x + channel) / 5) * cos(Double(y) / 4)) }
            }
        }
        let clean = try Tensor(values, shape: [1, 3, 24, 31]).to(.float32)
        #expect(try networks.enlarged(clean).shape == [1, 3, 96, 124] && networks.factor == 4)
        var random = RandomGenerator(seed: 2)
        let noisy = try clean.adding(random.normal(clean.shape), times: 0.1)
        let denoised = try networks.denoised(noisy, sigma: 0.1)
        #expect(try (denoised - clean).norm() < 0.5 * (noisy - clean).norm())
    }
}
