import InverseProblems
import TensorKit

/// What the windows of a scene have in common at tau, made of its first frame.
public struct SceneStart: Sendable {
    /// E of the first frame's first estimate, (1, C, h, w), float32.
    public var first: Tensor
    /// The same, inverted up to tau.
    public var inverted: Tensor

    public init(first: Tensor, inverted: Tensor) { (self.first, self.inverted) = (first, inverted) }
}

// Step 1 of Algorithm 1: the latents at tau.
extension Algorithm1 {
    /// Tells the data step of the measurement, which it may make more exact.
    mutating func prepareMeasurement() throws {
        measurement = try networks.clock.time(.dataStep) {
            try settings.dataStep.prepared(measurement) { [measurement, settings] in
                try measurement.enlarged(settings.upsampling)
            }
        }
        if completes { completion = try TemporalCompletion(measurement) }
    }

    /// What all windows of a scene start from, from one of this window's frames; nil for starts that have nothing in common.
    mutating func sceneStart(from frame: Int) throws -> SceneStart? {
        switch settings.start {
        case .firstFrameInversion, .sharedInversion:
            let first = try encodedEstimate(frame..<frame + 1)
            return SceneStart(first: first, inverted: try invert(first))
        default: return nil
        }
    }

    /// Z_tau, (N, C, h, w).
    mutating func start() throws -> Tensor {
        let count = networks.frames.count
        switch settings.start {
        case .firstFrameInversion:
            if let scene { return try repeated(scene.inverted) }
            return try repeated(invert(encodedEstimate(0..<1)))
        case .sharedInversion:
            let latents = try encodedEstimate(0..<count)
            if let scene {
                return try ((latents - scene.first) * schedule.alphaBar(settings.timesteps[0]).squareRoot())
                    .adding(scene.inverted)
            }
            let first = try latents.rows(0..<1)
            return try ((latents - first) * schedule.alphaBar(settings.timesteps[0]).squareRoot()).adding(invert(first))
        case .everyFrameInversion:
            return try invert(encodedEstimate(0..<count))
        case .sharedNoise:
            return try repeated(noised(encodedEstimate(0..<1)))
        case .independentNoise:
            return try noised(encodedEstimate(0..<count))
        case .pureNoise:
            return try repeated(networks.startingNoise(frames: 1))
        case .independentPureNoise:
            return try networks.startingNoise(frames: count)
        }
    }

    private mutating func encodedEstimate(_ frames: Range<Int>) throws -> Tensor {
        try networks.encode(firstEstimate(frames), phase: .inverting)
    }

    private mutating func firstEstimate(_ wanted: Range<Int>) throws -> Tensor {
        let completion =
            completes ? try TemporalCompletion(measurement, below: FirstEstimate.leastSeen(of: measurement)) : nil
        guard let completion else { return try estimateBeforeCompletion(wanted) }
        let all = try estimateBeforeCompletion(0..<measurement.videoShape[0])
        return try networks.clock.time(.firstEstimate) { try completion(all).rows(wanted) }
    }

    /// Whether what the measurement does not tell of time is found; frames that were brought along tell it.
    private var completes: Bool { settings.steadying.strength > 0 && ownEstimate == nil }

    private mutating func estimateBeforeCompletion(_ frames: Range<Int>) throws -> Tensor {
        let clock = networks.clock
        var told = 0
        return try clock.time(.firstEstimate) {
            if let ownEstimate {
                return try FirstEstimate.held(ownEstimate, to: measurement, settings.steadying).rows(frames)
            }
            return try settings.firstEstimate.frames(
                frames, of: measurement, settings.upsampling, enlargement: enlargement,
                steadying: settings.steadying
            ) { done in
                try networks.estimated(done - told, done: done)
                told = done
            }
        }
    }

    /// DDIM inversion (Song et al. 2021, Eq. 13 run backwards) through the sampled timesteps, from data to noise.
    private mutating func invert(_ latents: Tensor) throws -> Tensor {
        var z = latents
        var previous = 1.0
        for t in settings.timesteps.reversed() {
            let abar = schedule.alphaBar(t)
            let noisePrediction = try networks.predictNoise(z, t, phase: .inverting)
            let clean = try z.adding(noisePrediction, times: -(1 - previous).squareRoot()) / previous.squareRoot()
            z = try (clean * abar.squareRoot()).adding(noisePrediction, times: (1 - abar).squareRoot())
            previous = abar
        }
        return z
    }

    /// sqrt(abar) z + sqrt(1 - abar) noise at tau.
    private func noised(_ latents: Tensor) throws -> Tensor {
        let abar = schedule.alphaBar(settings.timesteps[0])
        return try (latents * abar.squareRoot())
            .adding(networks.startingNoise(frames: latents.size(0)), times: (1 - abar).squareRoot())
    }

    private func repeated(_ latent: Tensor) throws -> Tensor {
        try latent.expanded([networks.frames.count, -1, -1, -1]).contiguous()
    }
}
