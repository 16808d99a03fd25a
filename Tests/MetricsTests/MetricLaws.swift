import Foundation
import Metrics
import TensorKit
import Testing

@Suite struct MetricLaws {
    @Test func equalVideosArePerfect() throws {
        let (a, _) = try pictures(3, 16, 20)
        #expect(try psnr(a, a).perFrame == [.infinity, .infinity, .infinity])
        #expect(try psnr(a, a).mean == .infinity)
        #expect(isClose(try ssim(a, a).perFrame, [1, 1, 1], within: 1e-12))
        #expect(try temporalError(a, a).perFrame == [0, 0])
    }

    @Test func bothVideosCountAlike() throws {
        let (a, b) = try pictures(2, 16, 20)
        #expect(try psnr(a, b) == psnr(b, a))
        #expect(isClose(try ssim(a, b).perFrame, try ssim(b, a).perFrame, within: 1e-14))
        #expect(try temporalError(a, b) == temporalError(b, a))
    }

    @Test(arguments: [0.5, 0.1, 1.0 / 255]) func anOffsetHasAKnownPSNR(offset: Double) throws {
        let (a, _) = try pictures(2, 12, 12)
        // 10 log10(2^2 / offset^2)
        let expected = 20 * log10(2 / offset)
        #expect(isClose(try psnr(a, a + offset).perFrame, [expected, expected], within: 1e-9))
        #expect(
            isClose(
                try psnr(a, a + offset, range: 1).perFrame, [expected - 20 * log10(2), expected - 20 * log10(2)],
                within: 1e-9))
    }

    @Test func flatFramesHaveAKnownSSIM() throws {
        // Without variance only the luminance is left: (2 x y + C1) / (x^2 + y^2 + C1), with x and y counted from black.
        let a = try Tensor.full([1, 3, 11, 11], -0.5, dtype: .float64)
        let b = try Tensor.full([1, 3, 11, 11], 0.25, dtype: .float64)
        let (x, y, c1) = (0.5, 1.25, 0.02 * 0.02)
        #expect(abs(try ssim(a, b).mean - (2 * x * y + c1) / (x * x + y * y + c1)) < 1e-12)
    }

    @Test func theUnitOfPixelsDoesNotMatter() throws {
        let (a, b) = try pictures(1, 14, 15)
        func bytes(_ x: Tensor) throws -> Tensor { try (x + 1) * 127.5 }
        #expect(abs(try psnr(a, b).mean - psnr(bytes(a), bytes(b), range: 255).mean) < 1e-9)
        #expect(abs(try ssim(a, b).mean - ssim(bytes(a), bytes(b), black: 0, range: 255).mean) < 1e-11)
    }

    @Test func moreNoiseIsWorse() throws {
        let (a, b) = try pictures(2, 16, 20)
        let noise = try b - a
        var last = (psnr: Double.infinity, ssim: 1.0, temporal: 0.0)
        for strength in [0.1, 0.3, 1, 2] {
            let noisy = try a + noise * strength
            let now = (
                psnr: try psnr(a, noisy).mean, ssim: try ssim(a, noisy).mean, temporal: try temporalError(noisy, a).mean
            )
            #expect(now.psnr < last.psnr && now.ssim < last.ssim && now.temporal > last.temporal)
            last = now
        }
    }

    @Test func framesAreJudgedOnTheirOwn() throws {
        let (a, b) = try pictures(3, 16, 20)
        let second = try psnr(a.rows(1..<2), b.rows(1..<2))
        #expect(try psnr(a, b).perFrame[1] == second.mean)
        #expect(try ssim(a, b).perFrame[1] == ssim(a.rows(1..<2), b.rows(1..<2)).mean)
    }

    @Test func aStillVideoDoesNotFlicker() throws {
        let (a, b) = try pictures(1, 8, 8)
        let still = try Tensor.concatenate([a, a, a], along: 0)
        #expect(try flicker(still).perFrame == [0, 0])
        // The same error in every frame is steady, however large.
        let shifted = try Tensor.concatenate([b, b, b], along: 0)
        #expect(try temporalError(shifted, still).perFrame == [0, 0])
        // Frames that jump up and down by 0.5.
        let jumping = try Tensor.concatenate([a, a + 0.5, a], along: 0)
        #expect(isClose(try flicker(jumping).perFrame, [0.5, 0.5], within: 1e-12))
        #expect(isClose(try temporalError(jumping, still).perFrame, [0.5, 0.5], within: 1e-12))
    }

    @Test func flickerCountsWhereTheTruthIsStill() throws {
        // The left half is still up to noise of 0.01, the right half changes by 0.4; the video adds a flicker of 0.1.
        let left = try Tensor.zeros([1, 3, 4, 3], dtype: .float64)
        let right = try Tensor.zeros([1, 3, 4, 5], dtype: .float64)
        let truth = try Tensor.concatenate(
            [Tensor.concatenate([left, right], along: 3), Tensor.concatenate([left + 0.01, right + 0.4], along: 3)],
            along: 0)
        let score = try stillFlicker(Tensor.concatenate([truth.rows(0..<1), truth.rows(1..<2) + 0.1], along: 0), truth)
        #expect(abs(score.video - 0.11) < 1e-12 && abs(score.truth - 0.01) < 1e-12 && abs(score.excess - 0.1) < 1e-12)
        // What is three columns away from the right half, whose 5x5 pixels are all still.
        #expect(score.fraction == 1.0 / 8)
        #expect(try stillFlicker(truth, truth).excess == 0)
        // A frozen video is steadier than the truth.
        let frozen = try Tensor.concatenate([truth.rows(0..<1), truth.rows(0..<1)], along: 0)
        #expect(abs(try stillFlicker(frozen, truth).excess + 0.01) < 1e-12)
        // One channel that changes is enough for a pixel to move.
        var coloured = truth
        try coloured.replace(along: 1, from: 1, with: truth.narrow(1, from: 1, count: 1) * 100)
        #expect(throws: MetricError.nothingStatic(threshold: 4.0 / 255)) { try stillFlicker(truth, coloured) }
        #expect(try stillFlicker(truth, coloured, threshold: 1).fraction == 1.0 / 8)
    }
}
