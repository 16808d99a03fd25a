import Diffusion
import InverseProblems
import TensorKit

/// A prior's three maps for a whole video: a few frames at a time ("pseudo-batch": memory for a few frames, whatever their number), padded
/// to what the networks take and cropped again, in smaller passes where memory lacks, and with word of the progress.
struct NetworkPasses {
    let prior: any DiffusionPrior
    /// The video's size and the padded one.
    let frames: Padding
    let settings: Settings
    /// The number of the timestep, from 1; 0 during the start.
    var step = 0
    /// What fits, as far as it is known.
    private(set) var sizes: PassSizes
    private var meter: WorkMeter
    /// Where the time goes.
    let clock = PhaseClock()
    /// A row for each timestep.
    private let sharedNoise = Shared<Tensor>()
    private let progress: RestorationProgress.Handler
    /// Told the first time that passes become smaller.
    private var onSmallerPasses: ((String) -> Void)?

    init(
        _ prior: any DiffusionPrior, _ frames: Padding, _ settings: Settings, estimated: Int = 0,
        hasStart: Bool = false, sizes: PassSizes,
        progress: @escaping RestorationProgress.Handler, onSmallerPasses: ((String) -> Void)?
    ) {
        (self.prior, self.frames, self.settings, self.sizes) = (prior, frames, settings, sizes)
        (self.progress, self.onSmallerPasses) = (progress, onSmallerPasses)
        meter = WorkMeter(
            cost: prior.relativeCost, frames: frames.count, timesteps: settings.timesteps.count,
            start: settings.start, hasStart: hasStart, estimated: estimated, decodesTwice: settings.codecResidual > 0)
    }

    // MARK: The maps

    /// eps of latents (n, C, h, w).
    mutating func predictNoise(_ Z: Tensor, _ t: Int, phase: RestorationProgress.Phase = .denoising) throws -> Tensor {
        let prior = prior
        return try inPasses(
            Z, phase, phase == .inverting ? .inverting : .denoising, .prediction, cost: prior.relativeCost.prediction
        ) { latents, _, _ in
            try phase == .inverting
                ? prior.predictInversionNoise(latents, timestep: t) : prior.predictNoise(latents, timestep: t)
        }
    }

    /// D: frames of the video's size.
    /// - Parameter stepsAhead: the timestep, counted on from this one, whose autoencoder decodes.
    mutating func decode(_ Z: Tensor, stepsAhead: Int = 0) throws -> Tensor {
        let (prior, frames) = (prior, frames)
        return try inPasses(
            Z, .decoding, .decoding, .decoding, cost: prior.relativeCost.decoding, stepsAhead: stepsAhead
        ) { latents, _, pass in
            try frames.crop(prior.decode(latents, pass))
        }
    }

    /// E of frames of the video's size.
    mutating func encode(_ X: Tensor, phase: RestorationProgress.Phase = .encoding) throws -> Tensor {
        let (prior, frames, settings, step) = (prior, frames, settings, step)
        let latent = latentShape(frames: 1)
        return try inPasses(X, phase, .encoding, .encoding, cost: prior.relativeCost.encoding) { pixels, range, pass in
            var noise: Tensor?
            if settings.samplesEncoder {
                // A stream of its own for every frame of every step, so that the number of frames in a pass does not matter.
                noise = try Tensor.concatenate(
                    range.map {
                        var random = RandomGenerator(seed: settings.seed, stream: UInt64(1 + step) << 32 | UInt64($0))
                        return try random.normal(latent)
                    }, along: 0
                ).to(prior.device)
            }
            return try prior.encode(frames.pad(pixels), samplingWith: noise, pass)
        }
    }

    // MARK: Noise

    /// Standard normal latents of some frames, for the start.
    func startingNoise(frames count: Int) throws -> Tensor {
        var random = RandomGenerator(seed: settings.seed, stream: 0)
        return try random.normal(latentShape(frames: count), device: prior.device)
    }

    /// Standard normal latents for the renoising after a timestep, counted from 0: one for all frames, or one for each.
    func renoisingNoise(_ index: Int) throws -> Tensor {
        if let shared = sharedNoise.value { return try shared.rows(index..<index + 1) }
        return try drawNoise(index).to(prior.device)
    }

    private func drawNoise(_ index: Int) throws -> Tensor {
        var random = RandomGenerator(seed: settings.seed, stream: UInt64(index) + 1)
        return try random.normal(latentShape(frames: settings.renoising == .shared ? 1 : frames.count))
    }

    /// Makes what the timesteps need on the device, where copying waits: the noise of all of them where frames share it, and the prior's own. A
    /// noise for each frame is too much to keep, and is copied at its timestep.
    func prepare() throws {
        let timesteps = settings.timesteps
        if settings.renoising == .shared, timesteps.count > 1 {
            let noise = try Tensor.concatenate((0..<timesteps.count).map { try drawNoise($0) }, along: 0)
                .to(prior.device)
            sharedNoise.value = noise
        }
        let whole = Swift.min(sizes.prediction, frames.count)
        for count in Set([whole, frames.count % whole]) where count > 0 {
            try prior.prepare(timesteps: timesteps, latents: latentShape(frames: count))
        }
    }

    private func latentShape(frames count: Int) -> [Int] {
        prior.latentShape(frames: count, height: frames.paddedHeight, width: frames.paddedWidth)
    }

    // MARK: Passes

    private mutating func inPasses(
        _ input: Tensor, _ phase: RestorationProgress.Phase, _ work: WorkPhase, _ kind: PassSizes.Map, cost: Double,
        stepsAhead: Int = 0, _ map: (Tensor, Range<Int>, CodecPass) throws -> Tensor
    ) throws -> Tensor {
        let count = input.size(0)
        // The start is not drafted: everything follows from it.
        let isDraft = step > 0 && step + stepsAhead <= settings.timesteps.count - settings.exactCodecSteps
        var pieces: [Tensor] = []
        var first = 0
        while first < count {
            let range = first..<Swift.min(first + sizes.frames(kind), count)
            do {
                let pass = CodecPass(tile: sizes.tile(kind), isDraft: isDraft)
                pieces.append(try clock.time(work) { try map(input.rows(range), range, pass) })
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
        guard let smaller = sizes.smaller(kind, frames: frames, tileSizes: prior.tileSizes) else {
            throw RestorationError.outOfMemory(device: prior.device.description, reason: error.description)
        }
        sizes = smaller
        onSmallerPasses?(
            "The memory of \(prior.device) did not suffice; going on with less at once. The frames are the same but for rounding."
        )
        onSmallerPasses = nil
    }

    /// After some more frames of a first estimate, of which so many are done.
    mutating func estimated(_ more: Int, done: Int) throws {
        meter.add(prior.relativeCost.estimating * Double(more))
        try tell(.estimating, frame: done)
    }

    func tell(_ phase: RestorationProgress.Phase, frame: Int, residual: Residual? = nil) throws {
        try progress(
            RestorationProgress(
                phase: phase, step: step, stepCount: settings.timesteps.count,
                timestep: step == 0 ? 0 : settings.timesteps[step - 1],
                frame: frame, frameCount: frames.count, fraction: meter.fraction, residual: residual))
    }
}

/// Frames padded to the prior's multiple and cropped again; the operator sees the true size.
package struct Padding: Sendable {
    let count: Int
    let height: Int
    let width: Int
    package let paddedHeight: Int
    package let paddedWidth: Int

    /// - Parameter shape: of the video, (N, C, H, W).
    package init(_ shape: [Int], multiple: Int) {
        (count, height, width) = (shape[0], shape[2], shape[3])
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

/// A value that copies of a struct have in common, on one thread.
private final class Shared<Value> {
    var value: Value?
}
