import Diffusion
import InverseProblems
import Synchronization
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

    // MARK: Learned

    /// Bicubic interpolation in place of a network, which notes what it is given.
    final class Interpolation: Enlargement {
        let device = Device.cpu
        let factor = 4
        let sigmas = Mutex<[Double]>([])
        let sizes = Mutex<[[Int]]>([])

        func enlarged(_ pictures: Tensor) throws -> Tensor {
            sizes.withLock { $0.append(pictures.shape) }
            return try pictures.resizedBicubic(height: 4 * pictures.size(2), width: 4 * pictures.size(3))
        }
        func denoised(_ pictures: Tensor, sigma: Double) throws -> Tensor {
            sigmas.withLock { $0.append(sigma) }
            return try GaussianBlur.lowPass(sigma: 0.5).apply(pictures)
        }
    }

    /// Whatever the network makes, the estimate explains what was measured, at any whole factor and of any shrinking.
    @Test(arguments: [2, 3, 4, 8], [0.0, 1.2]) func theLearnedEstimateFitsTheMeasurement(
        factor: Int, blur: Double
    ) throws {
        let truth = try video(3, 10 * factor, 12 * factor)
        let pooling = try AveragePooling(factor: factor)
        let A: any LinearOperator = blur > 0 ? try GaussianBlur(size: 9, sigma: blur).then(pooling) : pooling
        let Y = try A.apply(truth)
        let network = Interpolation()
        func learned(_ wanted: Range<Int>, noise: Double = 0) throws -> Tensor {
            try FirstEstimate.learned.frames(wanted, of: measured(Y, A, noise: noise), .bicubic, enlargement: network)
        }
        let all = try learned(0..<3)
        #expect(all.shape == truth.shape)
        #expect(try (A.apply(all) - Y).norm() < 1e-3 * Y.norm())
        // A frame at a time, each twice, and no noise to take away.
        #expect(network.sizes.withLock { $0 } == Array(repeating: [1, 3, 10, 12], count: 6))
        #expect(network.sigmas.withLock { $0.isEmpty })
        #expect(try (learned(1..<2) - all.rows(1..<2)).norm() < 1e-5 * all.norm())
        // Noise is taken away before, and not followed after.
        let noisy = try learned(0..<3, noise: 0.05)
        #expect(network.sigmas.withLock { $0 } == [0.05, 0.05, 0.05])
        #expect(try (A.apply(noisy) - Y).norm() > 1e-3 * Y.norm())
        // A file's coding is no noise of that kind.
        let coded = NoiseFigure(0.01).with(.init(codec: "h264", sigma: 0.04, isMeasured: true))
        _ = try FirstEstimate.learned.frames(
            0..<1, of: VideoMeasurement(Y, operator: A, noise: coded), .bicubic, enlargement: network)
        #expect(network.sigmas.withLock { $0.count } == 3)
    }

    /// A network that makes much of little: what stands still in the measurement stands still in the estimate, also where noise of a step lies on
    /// it, while what moves is left where it is.
    @Test func theLearnedEstimateStandsStill() throws {
        final class Whim: Enlargement {
            let device = Device.cpu
            let factor = 4
            let count = Mutex<UInt64>(0)
            func enlarged(_ pictures: Tensor) throws -> Tensor {
                let seed = count.withLock {
                    $0 += 1
                    return $0
                }
                var random = RandomGenerator(seed: seed)
                let large = try pictures.resizedBicubic(height: 4 * pictures.size(2), width: 4 * pictures.size(3))
                return try large.adding(random.normal(large.shape), times: 0.02)
            }
            func denoised(_ pictures: Tensor, sigma: Double) throws -> Tensor { pictures }
        }
        let picture = try video(1, 40, 48)
        let A = try AveragePooling(factor: 4)
        func flicker(_ strength: Double) throws -> Double {
            let still = try A.apply(picture.expanded([9, -1, -1, -1]).contiguous())
            let Y = try addNoise(to: still, sigma: 0.002, seed: 3)
            let X = try FirstEstimate.learned.frames(
                0..<9, of: measured(Y, A, noise: 0.002), .bicubic, enlargement: Whim(),
                steadying: Steadying(strength: strength))
            return try (X.rows(1..<9) - X.rows(0..<8)).norm()
        }
        // Seven of nine frames' average would leave a fifth.
        #expect(try flicker(1) < 0.12 * flicker(0))
    }

    /// After an average over time the network is given frames of which it was undone.
    @Test func theLearnedEstimateOfAveragedFrames() throws {
        let truth = try video(5, 32, 40)
        let A = try TemporalAverage(window: 3).then(AveragePooling(factor: 4))
        let Y = try measured(A.apply(truth), A)
        let network = Interpolation()
        let all = try FirstEstimate.learned.frames(0..<5, of: Y, .bicubic, enlargement: network)
        #expect(try Y.residual(of: all) < 1e-3)
        let plain = try Y.enlarged(.bicubic)
        #expect(try (all - truth).norm() < 0.8 * (plain - truth).norm())
        #expect(network.sizes.withLock { $0.count } == 10)
        let some = try FirstEstimate.learned.frames(1..<3, of: Y, .bicubic, enlargement: network)
        #expect(try (some - all.rows(1..<3)).norm() < 1e-5 * all.norm())
    }

    /// A change of the light over all of a frame comes back, as far as the noise lets it.
    @Test func theLearnedEstimateUndoesAverages() throws {
        let light = [0.4, -0.2, 0.1, -0.4, 0.3].map { Float($0) }
        let truth = try video(5, 32, 48) * 0.2 + Tensor(light, shape: [5, 1, 1, 1])
        let A = try TemporalAverage(window: 3).then(AveragePooling(factor: 4))
        let measurement = try measured(A.apply(truth), A, noise: 0.01)
        let X = try FirstEstimate.learned.frames(
            0..<5, of: measurement, .bicubic, enlargement: Interpolation())
        func error(_ X: Tensor) throws -> Double { try (X - truth).mean(along: [1, 2, 3]).norm() }
        let (left, before) = (try error(X), try error(measurement.enlarged(.bicubic)))
        #expect(left < 0.2 * before, "\(left) of \(before)")
    }

    /// Where nothing shrank, where holes are and in grey there is nothing for the network.
    @Test func theLearnedEstimateOfOthersIsTheSmoothOne() throws {
        let truth = try video(2, 24, 32)
        let pooling = try AveragePooling(factor: 2)
        let holes = try Mask.random(ratio: 0.5, seed: 1, height: 12, width: 16)
        for A in [
            try GaussianBlur(size: 9, sigma: 2), pooling.then(holes), pooling.then(Greyscale(.bt709)), Identity(),
        ] as [any LinearOperator] {
            let Y = try measured(A.apply(truth), A)
            let network = Interpolation()
            #expect(!LearnedEstimate.fits(Y))
            let learned = try FirstEstimate.learned.frames(0..<2, of: Y, .bicubic, enlargement: network)
            let smooth = try FirstEstimate.smooth.frames(0..<2, of: Y, .bicubic)
            #expect(try (learned - smooth).norm() == 0, "\(A)")
            #expect(network.sizes.withLock { $0.isEmpty })
        }
    }

    /// The solver takes it where it has a network, says so, and does not pretend to have one.
    @Test func aSolverWithAnEnlargement() throws {
        let A = try AveragePooling(factor: 2)
        let Y = try measured(A.apply(video(2, 24, 32)), A)
        var solver = Solver(prior: BlurPrior())
        #expect(try solver.settle(Y).firstEstimate == .smooth)
        solver.options.firstEstimate = .learned
        #expect(throws: RestorationError.self) { try solver.restore(Y) }
        let network = Interpolation()
        solver.enlargement = network
        solver.options.firstEstimate = nil
        let settings = try solver.settle(Y)
        #expect(settings.firstEstimate == .learned && settings.options.firstEstimate == .learned)
        let result = try solver.restore(Y)
        #expect(network.sizes.withLock { $0.count } == 4)
        #expect(try Y.residual(of: result.frames) < 1e-3)
        // Nothing shrank: nothing is asked of it.
        #expect(try solver.settle(measured(video(2, 12, 16))).firstEstimate == .smooth)
    }

    // MARK: Brought along

    /// Frames of one's own are held to the measurement and steadied, of any task, and a small prior leaves them.
    @Test(arguments: ["sr4", "deblur", "inpaint", "average"]) func framesOfOnesOwn(task: String) throws {
        let truth = try video(4, 32, 40)
        let A = try Problem(task: task).operator(height: 32, width: 40)
        let Y = try measured(A.apply(truth), A, noise: 0.001)
        var solver = Solver(prior: BlurPrior(decoderGain: 0.3))
        let plain = try solver.restore(Y).frames
        // Nearly the truth, and another thing in each frame.
        var random = RandomGenerator(seed: 5)
        solver.ownEstimate = try truth.adding(random.normal(truth.shape), times: 0.02)
        let settings = try solver.settle(Y)
        #expect(settings.timesteps == [1] && settings.start == .everyFrameInversion)
        let row = settings.choices.first { $0.name == Policy.firstEstimateRow }
        #expect(row?.value == "given" && row?.option == "--first-estimate-from")
        let result = try solver.restore(Y).frames
        #expect(try (result - truth).norm() < 0.9 * (plain - truth).norm())
        #expect(try Y.residual(of: result) < 0.02)
        solver.ownEstimate = try truth.rows(0..<3)
        let error = #expect(throws: RestorationError.self) { try solver.restore(Y) }
        #expect(error?.description.contains("[4, 3, 32, 40]") == true)
    }

    // MARK: Progress

    /// Frame by frame, or all of them together: what is told rises to all that are estimated, and whoever is told can stop.
    @Test(arguments: FirstEstimate.allCases, [false, true]) func tellsHowFarItIs(
        estimate: FirstEstimate, mixing: Bool
    ) throws {
        let pooling = try AveragePooling(factor: 2)
        let A: any LinearOperator = mixing ? try TemporalAverage(window: 3).then(pooling) : pooling
        let Y = try measured(A.apply(video(5, 16, 24)), A)
        let network = Interpolation()
        var told: [Int] = []
        func run(stoppingAt last: Int) throws {
            _ = try estimate.frames(1..<4, of: Y, .bicubic, enlargement: network) { done in
                told.append(done)
                if done >= last { throw CancellationError() }
            }
        }
        try run(stoppingAt: .max)
        let expected = estimate == .measurement ? 0 : mixing ? 5 : 3
        #expect(estimate.count(3, of: Y) == expected)
        #expect(told.last ?? 0 == expected && told == told.sorted())
        #expect(estimate != .learned || told == Array(1...expected))
        guard expected > 0 else { return }
        told = []
        network.sizes.withLock { $0 = [] }
        #expect(throws: CancellationError.self) { try run(stoppingAt: 1) }
        #expect(told.last == 1 && network.sizes.withLock { $0.count } == (estimate == .learned ? 2 : 0))
    }

    // MARK: All

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
