import InverseProblems
import LatentDiffusion
import TensorKit

/// VISION-XL: restores a video from a degraded measurement of it, with a latent image diffusion model as prior (Kwon & Ye, ICCV
/// 2025, Algorithm 1).
///
///     let solver = Solver(prior: LatentDiffusionPrior(model))
///     let result = try solver.restore(measurement, operator: AveragePooling(factor: 4))
public struct Solver<Prior: DiffusionPrior>: Restorer {
    public let prior: Prior
    public var options: RestorationOptions
    /// Standard normal latents (1, C, h, w), or (N, C, h, w) for every frame its own, of the renoising after each timestep, counted from 0, in place of the seeded ones: what
    /// reproduces another program's run.
    public var noise: (@Sendable (Int) throws -> Tensor)?
    /// How much goes through a network at once; what keeps the device busy when nil. `options.framesPerPass` comes before its numbers of
    /// frames.
    public var passes: PassSizes?
    /// Makes them for a video of (frames, height, width) where they are not given.
    public var plan: (@Sendable (Int, Int, Int) -> PassSizes)?
    /// Is told in a sentence, once for each restoration, that the device's memory did not suffice and passes became smaller.
    public var onSmallerPasses: (@Sendable (String) -> Void)?

    public init(prior: Prior, options: RestorationOptions = RestorationOptions()) {
        self.prior = prior
        self.options = options
    }

    /// The timesteps that are sampled: those of the schedule up to tau, from noise to data.
    public var timesteps: [Int] {
        let all = prior.schedule.timesteps(options.steps)
        let kept = all.filter { Double($0) <= options.tau * Double(prior.schedule.trainingSteps) }
        return kept.isEmpty ? Array(all.suffix(1)) : kept
    }

    /// Restores X from Y = A(X). The last residual is the final consistency step's, if there was one. Where A blurs, Y lies
    /// on a grid of 8 to 16 bits and the noise is little more than that rounding's, a proximal data step has Y `dequantize`d first.
    ///
    /// Cost: for N frames and S timesteps, N S noise predictions and decodes, N (S - 1) encodes and S data steps; memory for about
    /// ten times the video in float32 beside the networks. A pass of a network that does not fit into memory is taken again with half the
    /// frames, then in tiles, then in smaller ones; the restoration says in its `passes` what fitted.
    /// - Throws: also `RestorationError.outOfMemory` where the smallest pass does not fit.
    public func restore(
        _ measurement: Tensor, operator A: any LinearOperator, measurementNoise: Double, progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration {
        var run = try Run(self, measurement, A, measurementNoise: measurementNoise, progress)
        return try run.algorithm1()
    }
}

extension Solver {
    /// One restoration under way.
    struct Run {
        let prior: Prior
        /// With what was left open filled in.
        var options: RestorationOptions
        let schedule: DDIMSchedule
        let timesteps: [Int]
        let Y: Tensor
        /// Y without what can be told of its rounding: what proximal data steps and the start hold to.
        var dequantizedY: Tensor
        let A: any LinearOperator
        /// sigma_y.
        let measurementNoise: Double
        /// Whether A makes one pixel of several.
        let mixesPixels: Bool
        /// Whether a measured frame has fewer pixels than a restored one.
        let shrinks: Bool
        let frames: Padding
        /// The part of the renoising that is new noise.
        let eta: Double
        /// Of the low-pass filter.
        let lambda: Double
        let noise: (Int) throws -> Tensor
        let progress: RestorationProgress.Handler
        var meter: WorkMeter
        var step = 0
        /// Standard deviation of the noise that the last data step but the final one let through, as far as that can be said.
        var passedNoise = 0.0
        var residuals: [RestorationProgress.Residual] = []
        var passes: PassSizes
        /// Told the first time that passes become smaller.
        var onSmallerPasses: ((String) -> Void)?

        /// Algorithm 1; the numbers of its steps are those of Docs/Algorithm.md.
        mutating func algorithm1() throws -> Restoration {
            // Beyond the paper: bands of rounding would become waves.
            dequantizedY = try dequantized()
            // 1. Batch-consistent inversion: one latent, inverted up to tau, for all frames.
            var Z = try start()
            var X = Y
            for (index, t) in timesteps.enumerated() {
                step = index + 1
                // 2. Tweedie's formula for every frame on its own, and its decode.
                let noisePrediction = try predictNoise(Z, t)
                let Zhat = try tweedie(Z, noisePrediction, t)
                let strength = options.steadyingStrength(
                    measurementNoise: measurementNoise, passedNoise: passedNoise, noiseToSignal: schedule.noiseToSignal(t))
                let Xhat = try inRange(steadied(decode(Zhat), strength))
                // 6. The result is the decode of the last timestep.
                if index == timesteps.count - 1 {
                    X = Xhat
                    break
                }
                // 3. Data consistency, over the whole batch at once.
                let Xbar = try inRange(dataConsistency(Xhat, t, steps: options.conjugateGradientSteps, phase: .consistency))
                // 4. The scheduled low-pass filter, and the encoder.
                let Zbar = try encode(lowPass(Xbar, t))
                // 5. Renoising with one noise for all frames (unless each is to have its own).
                Z = try renoise(Zbar, noisePrediction, to: timesteps[index + 1], with: noise(index))
            }
            // 7. Beyond the paper: once more the data, so that the autoencoder's error is not in what was measured.
            if options.finalConsistencySteps > 0 {
                X = try dataConsistency(X, timesteps[timesteps.count - 1], steps: options.finalConsistencySteps, phase: .finishing)
                // Undoing a blur of one frame differs a little from undoing that of the next; pixels that were measured one by one stay exact.
                if mixesPixels { X = try inRange(steadied(X, options.finalSteadyingStrength(passedNoise: passedNoise))) }
            }
            guard try X.isFinite().all() else { throw RestorationError.notFinite(step: step) }
            return Restoration(frames: X, residuals: residuals, passes: passes, options: options)
        }

        /// Zhat = (Z - sqrt(1 - abar) eps) / sqrt(abar).
        func tweedie(_ Z: Tensor, _ noisePrediction: Tensor, _ t: Int) throws -> Tensor {
            let abar = schedule.alphaBar(t)
            return try Z.adding(noisePrediction, times: -(1 - abar).squareRoot()) / abar.squareRoot()
        }

        /// Xhat with less flicker where nothing moves (beyond the paper).
        func steadied(_ Xhat: Tensor, _ strength: Double) throws -> Tensor {
            // Below float32's rounding there is nothing to average, and h^2 would vanish.
            return strength > 1e-7 ? try SteadyingFilter(strength: strength).apply(Xhat) : Xhat
        }

        /// X clamped to [-1, 1], where frames lie, beside a proximal data step (beyond the paper).
        func inRange(_ X: Tensor) throws -> Tensor { options.dataStep == .proximal ? try X.clamped(to: -1...1) : X }

        /// Xbar: argmin |Y - A X|^2 over X in Xhat + Krylov_l, or the proximal point.
        mutating func dataConsistency(
            _ Xhat: Tensor, _ t: Int, steps: Int, phase: RestorationProgress.Phase
        ) throws -> Tensor {
            let (solution, residual) =
                switch options.dataStep {
                case .conjugateGradients: try solve(from: Xhat, steps: steps)
                case .proximal: try proximalPoint(from: Xhat, t)
                }
            guard residual.after.isFinite else { throw RestorationError.notFinite(step: step) }
            residuals.append(residual)
            try tell(phase, frame: frames.count, residual: residual)
            return solution
        }

        /// argmin |Y - A X|^2 / sigma_y^2 + |X - Xhat|^2 / s_t^2 with s_t = c sqrt((1 - abar) / abar), c from the measurement.
        private mutating func proximalPoint(from Xhat: Tensor, _ t: Int) throws -> (Tensor, RestorationProgress.Residual) {
            let (c, unit) = (options.priorError, schedule.noiseToSignal(t))
            let (solution, noise) = try A.solveProximal(
                dequantizedY, around: Xhat, noise: max(measurementNoise, RestorationOptions.leastMeasurementNoise),
                error: c.lowerBound * unit...c.upperBound * unit)
            // The final step lets next to nothing through; what flickers after it came before.
            if let noise, step < timesteps.count { passedNoise = noise }
            let measured = try Y.norm()
            let scale = measured > 0 ? measured : 1
            return (
                solution,
                .init(before: try (Y - A.apply(Xhat)).norm() / scale, after: try (Y - A.apply(solution)).norm() / scale)
            )
        }

        /// Y, or where the noise is mostly that of rounding and A blurs, `dequantize`d.
        private func dequantized() throws -> Tensor {
            guard options.dataStep == .proximal, measurementNoise > 0 else { return Y }
            let form = try A.separated(for: [frames.count, Y.size(1), frames.height, frames.width])
            // What is not weakened is not amplified: means of blocks gain nothing.
            guard form?.keepsPixelsInBlocks != true, let bits = try NoiseLevel.bits(of: Y, known: form?.mask) else { return Y }
            // Noise of half a step, which together with the rounding's is twice that, leaves no bands.
            let rounding = NoiseLevel.rounding(toBits: bits)
            guard (0.9 * rounding..<2 * rounding).contains(measurementNoise) else { return Y }
            let start = try fullSize(Y, like: frames, options.upsampling)
            return try dequantize(A, measurement: Y, bits: bits, noise: measurementNoise, start: start)
        }

        private func solve(from Xhat: Tensor, steps: Int) throws -> (Tensor, RestorationProgress.Residual) {
            func solve(_ Y: Tensor, _ start: Tensor) throws -> (Tensor, RestorationProgress.Residual) {
                let (solution, report) = try conjugateGradients(
                    A, measurement: Y, start: start, iterations: steps, usingSymmetrizer: options.usesSymmetrizer)
                return (solution, .init(before: report.residualBefore, after: report.residualAfter))
            }
            guard options.solvesFramesAlone, !A.mixesFrames else { return try solve(Y, Xhat) }
            let parts = try (0..<frames.count).map { try solve(Y.rows($0..<$0 + 1), Xhat.rows($0..<$0 + 1)) }
            // Of the whole video again: the root of the sum of squares.
            let sizes = try parts.indices.map { frame in
                let size = try Y.rows(frame..<frame + 1).norm()
                return size > 0 ? size : 1
            }
            func total(_ part: KeyPath<RestorationProgress.Residual, Double>) throws -> Double {
                let squares = zip(parts, sizes).map { $0.1[keyPath: part] * $1 }.map { $0 * $0 }
                let measured = try Y.norm()
                return squares.reduce(0, +).squareRoot() / (measured > 0 ? measured : 1)
            }
            return (
                try Tensor.concatenate(parts.map(\.0), along: 0), .init(before: try total(\.before), after: try total(\.after))
            )
        }

        /// Xbar * h_sigma with sigma = lambda sqrt(1 - abar), frame by frame.
        func lowPass(_ X: Tensor, _ t: Int) throws -> Tensor {
            let sigma = lambda * (1 - schedule.alphaBar(t)).squareRoot()
            guard sigma > 0 else { return X }
            return try GaussianBlur.lowPass(sigma: sigma, taps: options.lowPassTaps).apply(X)
        }

        /// Z' = sqrt(abar') Zbar + sqrt(1 - abar') (eta noise + sqrt(1 - eta^2) eps), one noise for all frames or one for each.
        func renoise(_ Zbar: Tensor, _ noisePrediction: Tensor, to next: Int, with noise: Tensor) throws -> Tensor {
            let abar = schedule.alphaBar(next)
            let mixed = try (noisePrediction * (1 - eta * eta).squareRoot()).adding(noise, times: eta)
            return try (Zbar * abar.squareRoot()).adding(mixed, times: (1 - abar).squareRoot())
        }
    }
}

// MARK: - The prior, piece by piece

extension Solver.Run {
    init(
        _ solver: Solver, _ measurement: Tensor, _ A: any LinearOperator, measurementNoise: Double = 0,
        _ progress: @escaping RestorationProgress.Handler
    ) throws {
        try solver.options.validate()
        guard measurementNoise >= 0, measurementNoise.isFinite else {
            throw RestorationError.invalidOption("The measurement's noise must be 0 or more, and is \(measurementNoise).")
        }
        self.measurementNoise = measurementNoise
        prior = solver.prior
        options = solver.options
        schedule = prior.schedule
        timesteps = solver.timesteps
        Y = try requireMeasurement(measurement, on: prior.device)
        dequantizedY = Y
        self.A = A
        let shape = try A.inputShape(for: Y.shape)
        mixesPixels = try A.separated(for: shape)?.mixesPixels ?? true
        shrinks = Y.size(2) * Y.size(3) < shape[2] * shape[3]
        let defaults = RestorationOptions.SamplingDefaults(
            pixelNoise: prior.decoderGain.map { [schedule, timesteps] in $0 * schedule.noiseToSignal(timesteps[0]) }, measurementNoise: measurementNoise,
            mixesPixels: mixesPixels, shrinks: shrinks)
        (eta, lambda) = (defaults.eta(solver.options), defaults.lambda(solver.options))
        options.eta = eta
        options.lowPass = lambda
        options.firstEstimate = defaults.firstEstimate(solver.options)
        frames = Padding(count: shape[0], height: shape[2], width: shape[3], multiple: prior.frameMultiple)
        let noisy = options.renoising == .shared ? 1 : frames.count
        let latent = prior.latentShape(frames: noisy, height: frames.paddedHeight, width: frames.paddedWidth)
        let device = prior.device
        let seed = options.seed
        noise = solver.noise ?? { step in
            var random = RandomGenerator(seed: seed, stream: UInt64(step) + 1)
            return try random.normal(latent, device: device)
        }
        self.progress = progress
        passes =
            solver.passes ?? solver.plan?(frames.count, frames.height, frames.width)
            ?? .preferred(on: device, height: frames.height, width: frames.width)
        if let frames = options.framesPerPass { (passes.prediction, passes.encoding, passes.decoding) = (frames, frames, frames) }
        onSmallerPasses = solver.onSmallerPasses
        meter = WorkMeter(
            cost: prior.relativeCost, frames: frames.count, timesteps: timesteps.count, start: options.start,
            estimations: shrinks ? options.estimations(ofFrames: frames.count, mixed: A.mixesFrames) : 0)
    }

    /// Applies a map to a few frames at a time ("pseudo-batch": memory for a few frames, whatever their number).
    mutating func inPasses(
        _ input: Tensor, _ phase: RestorationProgress.Phase, _ kind: PassSizes.Map, cost: Double,
        _ map: (Tensor, Range<Int>, CodecPass) throws -> Tensor
    ) throws -> Tensor {
        let count = input.size(0)
        // The start is not drafted: it is one frame, and everything follows from it.
        let isDraft = options.exactCodecSteps.map { step > 0 && step <= timesteps.count - $0 } ?? false
        var pieces: [Tensor] = []
        var first = 0
        while first < count {
            let range = first..<Swift.min(first + passes.frames(kind), count)
            do {
                pieces.append(try map(input.rows(range), range, CodecPass(tile: passes.tile(kind), isDraft: isDraft)))
            } catch let error as TensorError where error.isOutOfMemory {
                try takeSmallerPasses(kind, frames: range.count, after: error)
                continue
            }
            first = range.upperBound
            meter.add(cost * Double(range.count))
            try tell(phase, frame: first)
        }
        return try Tensor.concatenate(pieces, along: 0)
    }

    /// After a pass that did not fit. (The engine has given back what it only kept by then: it does that before it gives up.)
    private mutating func takeSmallerPasses(_ kind: PassSizes.Map, frames: Int, after error: TensorError) throws {
        guard let smaller = passes.smaller(kind, frames: frames, tileSizes: prior.tileSizes) else {
            throw RestorationError.outOfMemory(device: prior.device.description, reason: error.description)
        }
        passes = smaller
        onSmallerPasses?("The memory of \(prior.device) did not suffice; going on with less at once. The frames are the same but for rounding.")
        onSmallerPasses = nil
    }

    mutating func predictNoise(_ Z: Tensor, _ t: Int, phase: RestorationProgress.Phase = .denoising) throws -> Tensor {
        let prior = prior
        return try inPasses(Z, phase, .prediction, cost: prior.relativeCost.prediction) { latents, _, _ in
            try phase == .inverting ? prior.predictInversionNoise(latents, timestep: t) : prior.predictNoise(latents, timestep: t)
        }
    }

    mutating func decode(_ Z: Tensor) throws -> Tensor {
        let (prior, frames) = (prior, frames)
        return try inPasses(Z, .decoding, .decoding, cost: prior.relativeCost.decoding) { latents, _, pass in
            try frames.crop(prior.decode(latents, pass))
        }
    }

    mutating func encode(_ X: Tensor, phase: RestorationProgress.Phase = .encoding) throws -> Tensor {
        let (prior, frames, options, step) = (prior, frames, options, step)
        return try inPasses(X, phase, .encoding, cost: prior.relativeCost.encoding) { pixels, range, pass in
            var noise: Tensor?
            if options.samplesEncoder {
                // A stream of its own for every frame of every step, so that the number of frames in a pass does not matter.
                let latent = prior.latentShape(frames: 1, height: frames.paddedHeight, width: frames.paddedWidth)
                noise = try Tensor.concatenate(
                    range.map {
                        var random = RandomGenerator(seed: options.seed, stream: UInt64(1 + step) << 32 | UInt64($0))
                        return try random.normal(latent, device: prior.device)
                    }, along: 0)
            }
            return try prior.encode(frames.pad(pixels), samplingWith: noise, pass)
        }
    }

    func tell(
        _ phase: RestorationProgress.Phase, frame: Int, residual: RestorationProgress.Residual? = nil
    ) throws {
        try progress(
            RestorationProgress(
                phase: phase, step: step, stepCount: timesteps.count, timestep: step == 0 ? 0 : timesteps[step - 1], frame: frame,
                frameCount: frames.count, fraction: meter.fraction, residual: residual))
    }
}

/// Frames padded to the prior's multiple and cropped again; the operator sees the true size.
struct Padding: Sendable {
    let count: Int
    let height: Int
    let width: Int
    let paddedHeight: Int
    let paddedWidth: Int

    init(count: Int, height: Int, width: Int, multiple: Int) {
        self.count = count
        self.height = height
        self.width = width
        paddedHeight = (height + multiple - 1) / multiple * multiple
        paddedWidth = (width + multiple - 1) / multiple * multiple
    }

    private var isNeeded: Bool { paddedHeight != height || paddedWidth != width }

    func pad(_ x: Tensor) throws -> Tensor {
        isNeeded ? try x.padded([0, paddedWidth - width, 0, paddedHeight - height], .replicate) : x
    }

    func crop(_ x: Tensor) throws -> Tensor {
        isNeeded ? try x.narrow(2, from: 0, count: height).narrow(3, from: 0, count: width).contiguous() : x
    }
}
