import Diffusion
import InverseProblems
import Synchronization
import TensorKit

@testable import VisionXL

/// A prior that needs no weights: latents are 2 x 2 patches, and the noise in them is taken to be what a blur removes.
struct BlurPrior: DiffusionPrior {
    /// Frames of an odd size reached the encoder.
    struct NotPadded: Error {}

    let schedule = DDIMSchedule()
    var device = Device.cpu
    let frameMultiple = 2
    var relativeCost = PriorCost()
    /// Adds something random to every encoded frame when it is asked to sample.
    var spread = 0.0
    /// Its decoder's gain is 1, which it does not say unless asked.
    var decoderGain: Double?
    /// The part of each frame that its encoder keeps, and its draft's decoder.
    var kept = 1.0
    var keptByDraft = 1.0
    /// Whether it sees any noise.
    var seesNoise = true

    /// One for all, which copies its matrices to a device once.
    private static let blur = Result { try GaussianBlur(size: 7, sigma: 1) }

    func latentShape(frames: Int, height: Int, width: Int) -> [Int] { [frames, 12, height / 2, width / 2] }

    func encode(_ frames: Tensor, samplingWith noise: Tensor?) throws -> Tensor {
        guard frames.size(2) % 2 == 0, frames.size(3) % 2 == 0 else { throw NotPadded() }
        let latents = try frames.pixelUnshuffled(2) * kept
        return try noise.map { try latents.adding($0, times: spread) } ?? latents
    }

    func decode(_ latents: Tensor) throws -> Tensor { try latents.pixelShuffled(2) }

    func decode(_ latents: Tensor, _ pass: CodecPass) throws -> Tensor {
        try decode(latents) * (pass.isDraft ? keptByDraft : 1)
    }

    func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        guard seesNoise else { return try latents * 0 }
        let smooth = try Self.blur.get().apply(latents)
        return try latents - smooth
    }
}

/// Notes what it is asked for.
final class WatchedPrior: DiffusionPrior {
    /// Timesteps on the way up and on the way down, and whether a draft would do for each encoding and decoding.
    struct Asked {
        var up = [Int](), down = [Int](), draftEncodings = [Bool](), draftDecodings = [Bool]()
        /// The largest absolute value of what was encoded.
        var extremes = [Double]()
    }

    private let base = BlurPrior()
    let asked = Mutex(Asked())

    var schedule: DDIMSchedule { base.schedule }
    var device: Device { base.device }
    var frameMultiple: Int { base.frameMultiple }
    var relativeCost: PriorCost { base.relativeCost }
    func latentShape(frames: Int, height: Int, width: Int) -> [Int] {
        base.latentShape(frames: frames, height: height, width: width)
    }
    func encode(_ frames: Tensor, samplingWith noise: Tensor?) throws -> Tensor {
        try base.encode(frames, samplingWith: noise)
    }
    func decode(_ latents: Tensor) throws -> Tensor { try base.decode(latents) }

    func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        asked.withLock { $0.down.append(timestep) }
        return try base.predictNoise(latents, timestep: timestep)
    }

    func predictInversionNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        asked.withLock { $0.up.append(timestep) }
        return try base.predictNoise(latents, timestep: timestep)
    }

    func encode(_ frames: Tensor, samplingWith noise: Tensor?, _ pass: CodecPass) throws -> Tensor {
        let extreme = try frames.absolute().maximum().item()
        asked.withLock {
            $0.draftEncodings.append(pass.isDraft)
            $0.extremes.append(extreme)
        }
        return try encode(frames, samplingWith: noise)
    }

    func decode(_ latents: Tensor, _ pass: CodecPass) throws -> Tensor {
        asked.withLock { $0.draftDecodings.append(pass.isDraft) }
        return try decode(latents)
    }
}

/// Smooth random pictures, one after another.
func video(_ frames: Int, _ height: Int, _ width: Int, seed: UInt64 = 3) throws -> Tensor {
    var random = RandomGenerator(seed: seed)
    return try GaussianBlur(size: 9, sigma: 2).apply(random.normal([frames, 3, height, width])).clamped(to: -1...1)
}

/// Y and A with a noise, none unless it is said.
func measured(_ Y: Tensor, _ A: any LinearOperator = Identity(), noise: Double = 0) throws -> VideoMeasurement {
    try VideoMeasurement(Y, operator: A, noise: .sigma(noise))
}

extension Solver {
    /// Algorithm 1 as `restore` would run it.
    func algorithm(_ measurement: VideoMeasurement) throws -> Algorithm1 {
        let measurement = try measurement.forRestoring(on: prior.device)
        return try algorithm(settle(measurement), measurement) { _ in }
    }
}
