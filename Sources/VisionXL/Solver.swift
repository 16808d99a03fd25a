import Diffusion
import InverseProblems
import TensorKit

/// VISION-XL: restores a video from a degraded measurement of it, with a latent image diffusion model as prior (Kwon & Ye, ICCV
/// 2025, Algorithm 1).
///
///     let solver = Solver(prior: LatentDiffusionPrior(model))
///     let A = try AveragePooling(factor: 4)
///     let result = try solver.restore(VideoMeasurement(frames, operator: A, noise: .rounding(toBits: 8)))
public struct Solver<Prior: DiffusionPrior>: Restorer {
    public let prior: Prior
    /// What is asked; `Policy` chooses the rest.
    public var options: RestorationOptions
    /// A data step of your own, in place of the options'. It takes the place of the last one, too, where there is one.
    public var dataStep: (any DataStep)?
    /// Makes a first estimate of smaller frames, for `FirstEstimate.learned`, which is the default where there is one.
    public var enlargement: (any Enlargement)?
    /// Frames (N, 3, H, W) in [-1, 1] that the start encodes, of whatever origin, in place of a first estimate. What stands still in them is
    /// averaged over time, and they take a proximal step to the measurement.
    public var ownEstimate: Tensor?
    /// Standard normal latents (1, C, h, w), or (N, C, h, w) for every frame its own, of the renoising after each timestep, counted from 0, in
    /// place of the seeded ones: what reproduces another program's run.
    public var noise: (@Sendable (Int) throws -> Tensor)?
    /// How much goes through a network at once; what keeps the device busy when nil.
    public var passes: PassSizes?
    /// Makes them for a video of (frames, height, width) where they are not given.
    public var plan: (@Sendable (Int, Int, Int) -> PassSizes)?
    /// Is told in a sentence, once for each restoration, that the device's memory did not suffice and passes became smaller.
    public var onSmallerPasses: (@Sendable (String) -> Void)?

    public init(prior: Prior, options: RestorationOptions = RestorationOptions()) {
        self.prior = prior
        self.options = options
    }

    /// What a restoration would follow. Cost: at most a few passes over the measurement.
    /// - Throws: `RestorationError.invalidOption`.
    public func settle(_ measurement: VideoMeasurement) throws -> Settings {
        let facts = try MeasurementFacts(
            measurement, prior, enlargement: enlargement, hasOwnEstimate: ownEstimate != nil)
        return try Policy.settle(options, facts, dataStep: dataStep)
    }

    /// Restores X from Y = A(X). The last residual is the final data step's, if there was one.
    ///
    /// Cost: for N frames and S timesteps, N S noise predictions and decodes, N (S - 1) encodes and S data steps, and N (S - 1) decodes more
    /// where a lossy autoencoder's residual is added; memory for ten to twelve times the video in float32 beside the networks. A pass of a network that does not fit into memory is taken again with half the
    /// frames, then in tiles, then in smaller ones; the restoration says in its `passes` what fitted.
    /// - Throws: also `RestorationError.outOfMemory` where the smallest pass does not fit.
    public func restore(
        _ measurement: VideoMeasurement, progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration {
        let measurement = try measurement.forRestoring(on: prior.device)
        return try restore(measurement, following: settle(measurement), progress: progress)
    }

    /// The same, following what was settled before: what keeps the windows of a video alike.
    /// - Parameter scene: what the windows of a scene have in common, from `sceneStart`; nil for a window on its own.
    /// - Throws: also `RestorationError.invalidOption` for settings without timesteps and passes without frames.
    public func restore(
        _ measurement: VideoMeasurement, following settings: Settings, from scene: SceneStart? = nil,
        progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration {
        let measurement = try measurement.forRestoring(on: prior.device)
        var algorithm = try algorithm(settings, measurement, from: scene, progress)
        let clock = algorithm.networks.clock
        let frames = try clock.time(.sampling) { try algorithm.restore() }
        return Restoration(
            frames: frames, residuals: algorithm.residuals, passes: algorithm.networks.sizes, settings: settings,
            phases: clock.times)
    }

    /// What all windows of a scene start from, so that they differ no more than frames of one window do.
    ///
    /// Cost: a first estimate, an encode and an inversion of one frame; where the operator mixes frames a first estimate of all.
    /// - Parameters:
    ///   - measurement: of the scene's first window.
    ///   - frame: the scene's first one among the frames that are restored from it.
    /// - Returns: nil for starts that have nothing in common.
    /// - Throws: as `restore`.
    public func sceneStart(
        _ measurement: VideoMeasurement, from frame: Int = 0, following settings: Settings,
        progress: @escaping RestorationProgress.Handler = { _ in }
    ) throws -> SceneStart? {
        let measurement = try measurement.forRestoring(on: prior.device)
        var algorithm = try algorithm(settings, measurement, progress)
        try algorithm.prepareMeasurement()
        try algorithm.prepareDevice()
        return try algorithm.sceneStart(from: frame)
    }

    /// Algorithm 1, ready to run.
    func algorithm(
        _ settings: Settings, _ measurement: VideoMeasurement, from scene: SceneStart? = nil,
        _ progress: @escaping RestorationProgress.Handler
    ) throws -> Algorithm1 {
        guard !settings.timesteps.isEmpty else {
            throw RestorationError.invalidOption("There are no timesteps to sample; give at least one.")
        }
        if let ownEstimate, ownEstimate.shape != measurement.videoShape {
            throw RestorationError.invalidOption(
                "A first estimate must have the shape of the restored video, \(measurement.videoShape), and has "
                    + "\(ownEstimate.shape).")
        }
        if ownEstimate == nil, settings.firstEstimate == .learned, enlargement == nil, LearnedEstimate.fits(measurement)
        {
            throw RestorationError.invalidOption(
                "A learned first estimate needs a network that enlarges; give the solver one, or take the smooth estimate."
            )
        }
        let frames = Padding(measurement.videoShape, multiple: prior.frameMultiple)
        let sizes =
            passes ?? plan?(frames.count, frames.height, frames.width)
            ?? Policy.passes(on: prior.device, height: frames.height, width: frames.width)
        try sizes.validate()
        let networks = NetworkPasses(
            prior, frames, settings, estimated: ownEstimate == nil ? settings.estimatedFrames(of: measurement) : 0,
            hasStart: scene != nil, sizes: sizes, progress: progress, onSmallerPasses: onSmallerPasses)
        let given = noise.map { noise in { [device = prior.device] in try noise($0).to(device) } }
        return try Algorithm1(
            settings, prior.schedule, measurement, networks, enlargement: enlargement,
            ownEstimate: ownEstimate?.to(.float32).to(prior.device), scene: scene,
            noise: given ?? networks.renoisingNoise)
    }
}

extension VideoMeasurement {
    /// In float32 on a device.
    /// - Throws: `RestorationError.invalidMeasurement` where its videos have other than three channels.
    package func forRestoring(on device: Device) throws -> VideoMeasurement {
        guard videoShape[1] == 3 else {
            throw RestorationError.invalidMeasurement(
                "A measurement must be of a video (frames, 3, height, width), and is of one of the shape \(videoShape)."
            )
        }
        return try to(.float32).to(device)
    }
}
