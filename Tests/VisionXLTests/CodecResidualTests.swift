import Diffusion
import InverseProblems
import TensorKit
import Testing

@testable import VisionXL

/// What an autoencoder loses, and the part of it that comes back.
@Suite struct CodecResidualTests {
    /// Keeps a part of every frame.
    private struct ForgetfulPrior: DiffusionPrior {
        let base = BlurPrior()
        var kept: Double
        var schedule: DDIMSchedule { base.schedule }
        var device: Device { base.device }
        var frameMultiple: Int { base.frameMultiple }
        var relativeCost: PriorCost { base.relativeCost }
        func latentShape(frames: Int, height: Int, width: Int) -> [Int] {
            base.latentShape(frames: frames, height: height, width: width)
        }
        func encode(_ frames: Tensor, samplingWith noise: Tensor?) throws -> Tensor {
            try base.encode(frames, samplingWith: noise) * kept
        }
        func decode(_ latents: Tensor) throws -> Tensor { try base.decode(latents) }
        /// Sees none, so that nothing else changes a frame.
        func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor { try latents * 0 }
    }

    private func options(_ residual: Double?) -> RestorationOptions {
        var options = RestorationOptions()
        options.codecResidual = residual
        return options
    }

    /// D(E(X)) + f (X - D(E(X))), of frames of an odd size as well.
    @Test(arguments: [0, 0.3, 1], [0, 0.5, 1]) func aRoundTripGivesBackThatPart(kept: Double, part: Double) throws {
        let X = try video(3, 11, 15)
        var algorithm = try Solver(prior: ForgetfulPrior(kept: kept), options: options(part)).algorithm(measured(X))
        let before = try algorithm.decoded(algorithm.networks.encode(X))
        #expect(try (before - X * kept).norm() <= 1e-6 * X.norm(), "nothing was lost yet")
        let after = try algorithm.decoded(algorithm.encoded(X))
        #expect(try (after - X * (kept + part * (1 - kept))).norm() <= 1e-6 * X.norm())
    }

    /// An autoencoder that loses nothing has nothing to come back.
    @Test func withoutALossNothingChanges() throws {
        let pooling = try AveragePooling(factor: 2)
        let small = try measured(pooling.apply(video(2, 12, 16)), pooling, noise: 0.01)
        let (with, without) = (
            try Solver(prior: BlurPrior(), options: options(1)).restore(small).frames,
            try Solver(prior: BlurPrior(), options: options(0)).restore(small).frames
        )
        #expect(try (with - without).norm() <= 1e-5 * without.norm())
    }

    /// A tenth of every frame is lost in each round trip: what is not measured fades away, unless it comes back.
    @Test func whatWasNotMeasuredStays() throws {
        let truth = try video(2, 16, 16)
        let holes = try Mask.random(ratio: 0.5, seed: 1, height: 16, width: 16)
        let Y = try measured(holes.apply(truth), holes, noise: 0.001)
        func error(_ residual: Double?) throws -> Double {
            var asked = options(residual)
            (asked.lowPass, asked.eta) = (0, 0)
            let X = try Solver(prior: ForgetfulPrior(kept: 0.9), options: asked).restore(Y).frames
            return try (X - truth).norm() / truth.norm()
        }
        let (with, without) = (try error(nil), try error(0))
        #expect(with < 0.7 * without, "\(with) against \(without)")
    }

    /// A decode of each frame and timestep but the last is what it costs, and a prior with a linear codec pays nothing.
    @Test func whatItCosts() throws {
        let Y = try measured(video(2, 8, 8))
        for (residual, decodings) in [(0.0, 8), (0.75, 15), (nil, 15)] as [(Double?, Int)] {
            let prior = WatchedPrior()
            var solver = Solver(prior: prior, options: options(residual))
            solver.passes = PassSizes(frames: 2)
            let result = try solver.restore(Y)
            #expect(prior.asked.withLock { $0.draftDecodings.count } == decodings)
            #expect(result.settings?.codecResidual == residual ?? 0.75)
        }
        var linear = BlurPrior()
        linear.decoderGain = 1
        #expect(try Solver(prior: linear).settle(Y).codecResidual == 0)
        #expect(try Solver(prior: BlurPrior(), options: .paper).settle(Y).codecResidual == 0)
    }

    @Test(arguments: [-0.1, 1.1, .nan]) func partsAreRefused(part: Double) {
        #expect(throws: RestorationError.self) { try options(part).validate() }
    }
}
