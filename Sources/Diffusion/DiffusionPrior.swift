import TensorKit

/// What the solver knows of a diffusion model: three maps and a schedule. Latents and frames are float32; what type a network runs
/// in is its own affair.
public protocol DiffusionPrior: Sendable {
    /// The noise schedule that `predictNoise` was trained on.
    var schedule: DDIMSchedule { get }
    /// Where the networks run, and with them the whole solver.
    var device: Device { get }
    /// Frames are padded to multiples of this many pixels.
    var frameMultiple: Int { get }
    /// The shape of the latents of (frames, 3, height, width).
    func latentShape(frames: Int, height: Int, width: Int) -> [Int]
    /// Latents of frames (n, 3, H, W) in [-1, 1].
    /// - Parameter noise: standard normal numbers of the latents' shape to sample the encoder's distribution with; its mean when nil.
    func encode(_ frames: Tensor, samplingWith noise: Tensor?) throws -> Tensor
    /// Frames (n, 3, H, W), about [-1, 1], of latents.
    func decode(_ latents: Tensor) throws -> Tensor
    /// The noise in latents that stand at `timestep` of the schedule.
    func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor
    /// Makes what `predictNoise` needs of timesteps, whatever the latents, so that it copies nothing to a GPU later: that waits.
    /// - Parameter shape: of latents that will come.
    func prepare(timesteps: [Int], latents shape: [Int]) throws
    /// The same for the inversion of data; `predictNoise` unless the prior leaves something out there, such as guidance.
    func predictInversionNoise(_ latents: Tensor, timestep: Int) throws -> Tensor
    /// Sides of tiles, in pixels and from large to small, in which this prior can encode and decode frames that are too large to go through
    /// whole; empty where it cannot.
    var tileSizes: [Int] { get }
    /// `encode` in the way that is asked for: the same latents but for rounding, unless a draft is asked for.
    func encode(_ frames: Tensor, samplingWith noise: Tensor?, _ pass: CodecPass) throws -> Tensor
    /// `decode` in the way that is asked for, likewise.
    func decode(_ latents: Tensor, _ pass: CodecPass) throws -> Tensor
    /// The standard deviation, in decoded pixels, of white noise of standard deviation 1 in the latents; nil where the decoder is not linear, so
    /// that it depends on the picture. With it the solver knows how noisy a timestep looks (`Policy`).
    var decoderGain: Double? { get }
    /// What the three maps cost for one frame, in any common unit: a progress bar's idea of time.
    var relativeCost: PriorCost { get }
}

extension DiffusionPrior {
    public func prepare(timesteps: [Int], latents shape: [Int]) throws {}
    public func predictInversionNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        try predictNoise(latents, timestep: timestep)
    }
    public var tileSizes: [Int] { [] }
    public var decoderGain: Double? { nil }
    public var relativeCost: PriorCost { PriorCost() }
    public func encode(_ frames: Tensor, samplingWith noise: Tensor?, _ pass: CodecPass) throws -> Tensor {
        try encode(frames, samplingWith: noise)
    }
    public func decode(_ latents: Tensor, _ pass: CodecPass) throws -> Tensor { try decode(latents) }
}

/// How frames are to be encoded or decoded.
public struct CodecPass: Sendable, Equatable {
    /// The side of a tile, one of the prior's `tileSizes`; nil for whole frames.
    public var tile: Int?
    /// Whether an approximation will do, where the prior has a quick one.
    public var isDraft: Bool

    public init(tile: Int? = nil, isDraft: Bool = false) {
        self.tile = tile
        self.isDraft = isDraft
    }
}

/// Costs of one frame's pass through each of a prior's maps, in a common unit.
public struct PriorCost: Sendable {
    public var prediction: Double
    public var decoding: Double
    public var encoding: Double
    /// Of a first estimate of a frame, which is none of the prior's maps.
    public var estimating: Double

    public init(prediction: Double = 1, decoding: Double = 1, encoding: Double = 1, estimating: Double = 1) {
        self.prediction = prediction
        self.decoding = decoding
        self.encoding = encoding
        self.estimating = estimating
    }
}
