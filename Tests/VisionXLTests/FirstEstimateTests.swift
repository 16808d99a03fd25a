import InverseProblems
import TensorKit
import Testing

@testable import VisionXL

/// What the start encodes.
@Suite struct FirstEstimateTests {
    /// A start from the measurement has its holes; the smooth one has them filled, and says what was measured all the
    /// same.
    @Test(arguments: [false, true]) func theSmoothEstimateFillsHoles(mixing: Bool) throws {
        let truth = try video(5, 40, 48)
        let mask = try Mask.random(ratio: 0.5, seed: 1, height: 40, width: 48)
        let A: any LinearOperator = mixing ? try TemporalAverage(window: 3).then(mask) : mask
        let Y = try A.apply(truth)
        func smooth(noise: Double, _ wanted: Range<Int>) throws -> Tensor {
            try FirstEstimate.smooth.frames(wanted, of: measured(Y, A, noise: noise), .bicubic)
        }
        let all = try smooth(noise: 0, 0..<5)
        #expect(try (A.apply(all) - Y).norm() < 1e-4 * Y.norm())
        #expect(try (all - truth).norm() < 0.5 * (Y - truth).norm())
        // Noise is not followed.
        #expect(try (A.apply(smooth(noise: 0.1, 0..<5)) - Y).norm() > 0.01 * Y.norm())
        // One frame of it is what all give, to how far it is filled.
        #expect(try (smooth(noise: 0, 0..<1) - all.rows(0..<1)).norm() < 0.01 * all.rows(0..<1).norm())
        let plain = try FirstEstimate.measurement.frames(0..<5, of: measured(Y, A), .bicubic)
        #expect(try (plain - Y).norm() == 0)
    }

    /// What nothing is missing of is not smoothed.
    @Test func theSmoothEstimateOfAWholeMeasurementIsTheMeasurement() throws {
        let Y = try video(2, 16, 24)
        let estimate = try FirstEstimate.smooth.frames(0..<2, of: measured(Y), .bicubic)
        #expect(try (estimate - Y).norm() < 1e-5 * Y.norm())
    }

    /// Frames, channels and pixels that the measurement lacks are there, of the video's shape.
    @Test(arguments: FirstEstimate.allCases, Upsampling.allCases)
    func whatIsMissingIsEnlarged(estimate: FirstEstimate, upsampling: Upsampling) throws {
        let truth = try video(6, 16, 24)
        let A = try TemporalAverage(window: 3, boundary: .valid).then(AveragePooling(factor: 2)).then(Greyscale(.bt709))
        let Y = try measured(A.apply(truth), A)
        #expect(Y.frames.shape == [4, 1, 8, 12])
        #expect(try estimate.frames(0..<6, of: Y, upsampling).shape == truth.shape)
        #expect(try estimate.frames(2..<4, of: Y, upsampling).shape == [2, 3, 16, 24])
        // Grey stays grey: its three channels are equal as long as nothing is known of colours.
        let enlarged = try Y.enlarged(upsampling)
        #expect(try (enlarged.narrow(1, from: 0, count: 1) - enlarged.narrow(1, from: 2, count: 1)).norm() == 0)
        // The first and the last frame stand at the ends as well.
        #expect(try (enlarged.rows(0..<1) - enlarged.rows(1..<2)).norm() == 0)
        #expect(try (enlarged.rows(4..<5) - enlarged.rows(5..<6)).norm() == 0)
    }
}
