import Diffusion
import InverseProblems
import TensorKit
import Testing

@testable import VisionXL

/// What an autoencoder loses, and the part of it that comes back.
@Suite struct CodecResidualTests {
    private func options(_ residual: Double?) -> RestorationOptions {
        var options = RestorationOptions()
        options.codecResidual = residual
        return options
    }

    /// D(E(X)) + f (X - D(E(X))), of frames of an odd size as well.
    @Test(arguments: [0, 0.3, 1], [0, 0.5, 1]) func aRoundTripGivesBackThatPart(kept: Double, part: Double) throws {
        let X = try video(3, 11, 15)
        var algorithm = try Solver(prior: BlurPrior(kept: kept), options: options(part)).algorithm(measured(X))
        let before = try algorithm.decoded(algorithm.networks.encode(X))
        #expect(try (before - X * kept).norm() <= 1e-6 * X.norm(), "nothing was lost yet")
        let after = try algorithm.decoded(algorithm.encoded(X))
        #expect(try (after - X * (kept + part * (1 - kept))).norm() <= 1e-6 * X.norm())
    }

    /// What a draft encoded and the full autoencoder will decode is decoded by that.
    @Test func aDraftsLossIsThatOfTheNextDecoder() throws {
        let X = try video(2, 12, 16)
        var asked = options(1)
        (asked.timesteps, asked.exactCodecSteps) = ([121, 81, 41, 1], 2)
        let prior = BlurPrior(kept: 0.8, keptByDraft: 0.5)
        // The second timestep is the last one with a draft.
        for (step, kept) in [(1, 0.4), (2, 0.8), (3, 0.8)] {
            var algorithm = try Solver(prior: prior, options: asked).algorithm(measured(X))
            algorithm.networks.step = step
            let latents = try algorithm.encoded(X)
            #expect(try (#require(algorithm.lost) - X * (1 - kept)).norm() <= 1e-6 * X.norm(), "timestep \(step)")
            algorithm.networks.step += 1
            #expect(try (algorithm.decoded(latents) - X).norm() <= 1e-6 * X.norm(), "timestep \(step)")
        }
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
            let X = try Solver(prior: BlurPrior(kept: 0.9, seesNoise: false), options: asked).restore(Y).frames
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
