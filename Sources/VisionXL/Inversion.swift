import InverseProblems
import LatentDiffusion
import TensorKit

// Step 1 of Algorithm 1: the latents at tau.
extension Solver.Run {
    /// Z_tau, (N, C, h, w).
    mutating func start() throws -> Tensor {
        switch options.start {
        case .firstFrameInversion:
            return try repeated(invert(encode(firstEstimate(frames: 0..<1), phase: .inverting)))
        case .sharedInversion:
            let latents = try encode(firstEstimate(frames: 0..<frames.count), phase: .inverting)
            let first = try latents.rows(0..<1)
            return try ((latents - first) * schedule.alphaBar(timesteps[0]).squareRoot()).adding(invert(first))
        case .everyFrameInversion:
            return try invert(encode(firstEstimate(frames: 0..<frames.count), phase: .inverting))
        case .sharedNoise:
            return try repeated(noised(encode(firstEstimate(frames: 0..<1), phase: .inverting)))
        case .independentNoise:
            return try noised(encode(firstEstimate(frames: 0..<frames.count), phase: .inverting))
        case .pureNoise:
            return try repeated(startingNoise(frames: 1))
        case .independentPureNoise:
            return try startingNoise(frames: frames.count)
        }
    }

    /// The frames that the start encodes, `wanted` of them.
    mutating func firstEstimate(frames wanted: Range<Int>) throws -> Tensor {
        let Y = dequantizedY
        let full = try fullSize(Y, like: frames, options.upsampling)
        switch options.firstEstimate ?? .smooth {
        case .measurement: return try full.rows(wanted)
        case .smooth, .selfSimilar:
            // A frame that is measured on its own can be estimated on its own.
            if !A.mixesFrames { return try smoothEstimate(Y.rows(wanted), from: full.rows(wanted)) }
            return try smoothEstimate(Y, from: full).rows(wanted)
        }
    }

    /// What the measurement tells without a network: the frames of least variation where something is missing, since an inversion of
    /// frames with holes keeps them, and where frames shrank mostly those whose patches agree; else the proximal point alone.
    private mutating func smoothEstimate(_ Y: Tensor, from start: Tensor) throws -> Tensor {
        // The error, in units of [-1, 1], that enlarged or smoothed frames are thought to have.
        let error = 0.1
        let noise = Swift.max(measurementNoise, RestorationOptions.leastMeasurementNoise)
        let ratio = error * error / (noise * noise)
        func proximal(_ X: Tensor) throws -> Tensor { try A.solveProximal(Y, around: X, ratio: ratio, iterations: 20).solution }
        let X = try proximal(start)
        // What smoothing takes away and the measurement does not bring back is not measured.
        let smooth = try proximal(GaussianBlur.lowPass(sigma: 8).apply(X))
        if try (smooth - X).norm() <= 0.005 * X.norm() {
            if shrinks { meter.add(Double(options.estimations(ofFrames: start.size(0), mixed: A.mixesFrames)) * prior.relativeCost.estimation) }
            return smooth
        }
        let least = try minimizeFrameVariation(A, measurement: Y, start: smooth, noise: noise)
        guard shrinks else { return least }
        // All fit the measurement, and err differently: enlargement and least variation blur or flatten what a patch alone does not tell;
        // patches that are alike tell more, and where there are none least variation is the soberer guess.
        guard options.firstEstimate == .selfSimilar else { return try (X + least) * 0.5 }
        let alike = try enforceSelfSimilarity(
            A, measurement: Y, start: X, noise: noise, iterations: RestorationOptions.selfSimilarIterations
        ) { _, frames in
            meter.add(prior.relativeCost.estimation * Double(frames.count))
            try tell(.estimating, frame: frames.upperBound)
        }
        return try (alike * 4 + least) / 5
    }

    /// DDIM inversion (Song et al. 2021, Eq. 13 run backwards) through the sampled timesteps, from data to noise.
    private mutating func invert(_ latents: Tensor) throws -> Tensor {
        var z = latents
        var previous = 1.0
        for t in timesteps.reversed() {
            let abar = schedule.alphaBar(t)
            let noisePrediction = try predictNoise(z, t, phase: .inverting)
            let clean = try z.adding(noisePrediction, times: -(1 - previous).squareRoot()) / previous.squareRoot()
            z = try (clean * abar.squareRoot()).adding(noisePrediction, times: (1 - abar).squareRoot())
            previous = abar
        }
        return z
    }

    /// sqrt(abar) z + sqrt(1 - abar) noise at tau.
    private func noised(_ latents: Tensor) throws -> Tensor {
        let abar = schedule.alphaBar(timesteps[0])
        return try (latents * abar.squareRoot()).adding(startingNoise(frames: latents.size(0)), times: (1 - abar).squareRoot())
    }

    private func startingNoise(frames count: Int) throws -> Tensor {
        var random = RandomGenerator(seed: options.seed, stream: 0)
        return try random.normal(
            prior.latentShape(frames: count, height: frames.paddedHeight, width: frames.paddedWidth), device: prior.device)
    }

    private func repeated(_ latent: Tensor) throws -> Tensor { try latent.expanded([frames.count, -1, -1, -1]).contiguous() }
}

/// A measurement at the size of the frames: enlarged where the operator shrinks them, and frames repeated at the ends where it has fewer
/// of them.
func fullSize(_ Y: Tensor, like frames: Padding, _ upsampling: RestorationOptions.Upsampling) throws -> Tensor {
    var y = Y
    if y.size(2) != frames.height || y.size(3) != frames.width {
        switch upsampling {
        case .nearest: y = try y.upsampledNearest(height: frames.height, width: frames.width)
        case .bicubic: y = try y.resizedBicubic(height: frames.height, width: frames.width)
        }
    }
    let missing = frames.count - y.size(0)
    guard missing > 0 else { return y }
    let count = y.size(0)
    return try y.gathered((0..<frames.count).map { Swift.min(Swift.max($0 - missing / 2, 0), count - 1) }, along: 0)
}
