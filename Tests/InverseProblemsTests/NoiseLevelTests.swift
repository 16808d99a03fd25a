import Foundation
import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

@Suite struct NoiseLevelTests {
    /// Smooth hills with a strip of fine texture.
    private static func picture(frames: Int, height: Int, width: Int) throws -> Tensor {
        var values: [Float] = []
        for frame in 0..<frames {
            for _ in 0..<3 {
                for y in 0..<height {
                    for x in 0..<width {
                        let hills = 0.5 * sin(Double(x + frame) / 40) * cos(Double(y) / 30)
                        values.append(Float(y > height * 3 / 4 ? hills + 0.3 * sin(Double(x * 3 + y)) : hills))
                    }
                }
            }
        }
        return try Tensor(values, shape: [frames, 3, height, width])
    }

    @Test(arguments: [0.01, 0.05, 0.2]) func noiseIsFound(sigma: Double) throws {
        let clean = try Self.picture(frames: 3, height: 98, width: 130)
        let noisy = try addNoise(to: clean, sigma: sigma, seed: 4)
        let whole = try #require(try NoiseLevel.estimated(in: noisy))
        #expect(abs(whole / sigma - 1) < 0.06, "\(whole)")
        let known = try Mask.random(ratio: 0.5, seed: 2, height: 98, width: 130).mask
        let partly = try #require(try NoiseLevel.estimated(in: noisy * known, known: known))
        #expect(abs(partly / sigma - 1) < 0.15, "\(partly)")
        let masks = try Registered.maskOfEachFrame([3, 3, 98, 130]).mask
        let apart = try #require(try NoiseLevel.estimated(in: noisy * masks, known: masks))
        #expect(abs(apart / sigma - 1) < 0.15, "\(apart)")
    }

    @Test func aCleanPictureHasLittle() throws {
        let clean = try Self.picture(frames: 2, height: 98, width: 130)
        #expect(try #require(try NoiseLevel.estimated(in: clean)) < 1e-3)
        let rounded = try #require(try NoiseLevel.estimated(in: clean.rounded(toBits: 8)))
        // Contours of rounded hills are no white noise, but of its size.
        #expect(
            rounded > NoiseLevel.rounding(toBits: 8) / 3 && rounded < NoiseLevel.rounding(toBits: 8) * 2, "\(rounded)")
    }

    @Test func roundingIsUniform() throws {
        let values = try random([200_000], seed: 1) * 0.3
        let error = try (values.rounded(toBits: 8) - values.clamped(to: -1...1)).squared().mean().item().squareRoot()
        #expect(abs(error / NoiseLevel.rounding(toBits: 8) - 1) < 0.02)
        #expect(NoiseLevel.combined(3, 4) == 5)
    }

    @Test func codingGrowsWithTheStep() {
        #expect(NoiseLevel.roundingOfLumaAndChroma(toBits: 8) > 2 * NoiseLevel.rounding(toBits: 8))
        // x264 at crf 23, about QP 26.6, errs by 0.016 to 0.07, by what it shows.
        let step = 13.6 / 255
        #expect(abs(NoiseLevel.coding(quantizerStep: step) - 0.035) < 0.001)
        let levels = [0, 1, 4, 16].map { NoiseLevel.coding(quantizerStep: $0 * step) }
        #expect(levels == levels.sorted() && levels[0] > 0)
    }

    @Test func tooLittleSaysNothing() throws {
        #expect(try NoiseLevel.estimated(in: .zeros([1, 3, 8, 8])) == nil)
        let known = try Mask.random(ratio: 0.99, seed: 2, height: 64, width: 64).mask
        #expect(try NoiseLevel.estimated(in: .zeros([1, 3, 64, 64]), known: known) == nil)
    }

    @Test func figuresSayWhereTheyComeFrom() {
        #expect(NoiseFigure.none.sigma == 0 && NoiseFigure.sigma(0.1).source == .said)
        let rounding = NoiseFigure.rounding(toBits: 8)
        #expect(rounding.sigma == NoiseLevel.rounding(toBits: 8) && rounding.source == .bits && rounding.coding == nil)
        #expect("\(rounding)" == "0.0023 (rounding to the file's bits)")
        let coded = NoiseFigure(0.03, source: .record).with(.init(codec: "h264", sigma: 0.04, isMeasured: true))
        #expect(abs(coded.sigma - 0.05) < 1e-12)
        #expect("\(coded)" == "0.05 (from the measurement's .json; with 0.04 for h264's quantizer)")
        #expect(
            "\(NoiseFigure(0, source: .frames).with(.init(codec: "vp9", sigma: 0.04, isMeasured: false)))"
                == "0.04 (estimated from the frames; with 0.04 for vp9, a guess)")
        #expect(NoiseFigure.none.atLeastRounding == 1e-6 && NoiseFigure.sigma(0.1).atLeastRounding == 0.1)
    }
}
