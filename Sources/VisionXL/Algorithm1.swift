import Diffusion
import InverseProblems
import TensorKit

/// Algorithm 1 of VISION-XL (Kwon & Ye, ICCV 2025); the numbers of its steps are those of Docs/Algorithm.md. `Settings` have its numbers:
/// those of the paper make it the paper's listing, others put a step of the same kind in its place.
struct Algorithm1 {
    let settings: Settings
    let schedule: DDIMSchedule
    /// Y and A.
    var measurement: VideoMeasurement
    /// E, D and eps, a few frames at a time.
    var networks: NetworkPasses
    /// The network of a learned first estimate.
    let enlargement: (any Enlargement)?
    /// Frames in the place of a first estimate.
    let ownEstimate: Tensor?
    /// New noise for the renoising after a timestep, counted from 0.
    let noise: (Int) throws -> Tensor
    /// What the windows of a scene have in common; nil where the window is on its own.
    let scene: SceneStart?
    /// Step 4.
    let lowPass: LowPass
    /// What the autoencoder lost of the frames that were encoded last, (N, 3, H, W); nil before, and where none of it is added.
    var lost: Tensor?
    /// What the measurement does not tell of time; nil where it tells all, and where that is not looked for.
    var completion: TemporalCompletion?
    private(set) var residuals: [Residual] = []

    init(
        _ settings: Settings, _ schedule: DDIMSchedule, _ measurement: VideoMeasurement, _ networks: NetworkPasses,
        enlargement: (any Enlargement)? = nil, ownEstimate: Tensor? = nil, scene: SceneStart? = nil,
        noise: @escaping (Int) throws -> Tensor
    ) throws {
        lowPass = try LowPass(settings, schedule)
        (self.settings, self.schedule, self.measurement, self.networks, self.noise) = (
            settings, schedule, measurement, networks, noise
        )
        (self.enlargement, self.ownEstimate, self.scene) = (enlargement, ownEstimate, scene)
    }

    mutating func restore() throws -> Tensor {
        let clock = networks.clock
        try prepareMeasurement()
        let timesteps = settings.timesteps
        try prepareDevice()
        // What the last data step let through of the measurement's noise.
        var passed = 0.0
        // 1. Batch-consistent inversion: one latent, inverted up to tau, for all frames.
        var Z = try start()
        var X = measurement.frames
        for (index, t) in timesteps.enumerated() {
            networks.step = index + 1
            // 2. Tweedie's formula for every frame on its own, and its decode.
            let noisePrediction = try networks.predictNoise(Z, t)
            let Zhat = try tweedie(Z, noisePrediction, t)
            X = try inRange(steadied(decoded(Zhat), passed, t))
            // 6. The result is the decode of the last timestep.
            if index == timesteps.count - 1 { break }
            // 3. Data consistency, over the whole batch at once.
            let Xbar = try dataConsistency(settings.dataStep, X, t, .consistency)
            passed = Xbar.passedNoise ?? passed
            // 4. The scheduled low-pass filter, and the encoder.
            let Zbar = try encoded(lowPass(inRange(Xbar.frames), t))
            // 5. Renoising with one noise for all frames.
            Z = try renoise(Zbar, noisePrediction, to: timesteps[index + 1], with: noise(index))
        }
        // 7. None in the paper: once more the data, so that the autoencoder's error is not in what was measured.
        for step in settings.finalSteps {
            let result = try dataConsistency(step, X, timesteps[timesteps.count - 1], .finishing)
            X = result.frames
            // Of a single timestep there was no data step before.
            if timesteps.count == 1 { passed = result.passedNoise ?? passed }
            if settings.steadiesResult {
                X = try inRange(clock.time(.steadying) { try settings.steadying.applyToResult(X, passedNoise: passed) })
            }
        }
        guard try X.isFinite().all() else { throw RestorationError.notFinite(step: networks.step) }
        return X
    }

    /// Zhat = (Z - sqrt(1 - abar) eps) / sqrt(abar).
    func tweedie(_ Z: Tensor, _ noisePrediction: Tensor, _ t: Int) throws -> Tensor {
        let abar = schedule.alphaBar(t)
        return try Z.adding(noisePrediction, times: -(1 - abar).squareRoot()) / abar.squareRoot()
    }

    /// Xbar from Xhat, by a data step.
    mutating func dataConsistency(
        _ step: any DataStep, _ Xhat: Tensor, _ t: Int, _ phase: RestorationProgress.Phase
    ) throws -> DataStepResult {
        let result = try networks.clock.time(.dataStep) {
            try step.apply(Xhat, measurement, noiseToSignal: schedule.noiseToSignal(t))
        }
        guard result.residual.after.isFinite else { throw RestorationError.notFinite(step: networks.step) }
        residuals.append(result.residual)
        try networks.tell(phase, frame: Xhat.size(0), residual: result.residual)
        return result
    }

    /// Z' = sqrt(abar') Zbar + sqrt(1 - abar') (eta noise + sqrt(1 - eta^2) eps), one noise for all frames or one for each.
    func renoise(_ Zbar: Tensor, _ noisePrediction: Tensor, to next: Int, with noise: Tensor) throws -> Tensor {
        let (abar, eta) = (schedule.alphaBar(next), settings.eta)
        let mixed = try (noisePrediction * (1 - eta * eta).squareRoot()).adding(noise, times: eta)
        return try (Zbar * abar.squareRoot()).adding(mixed, times: (1 - abar).squareRoot())
    }

    /// Frames with what the measurement does not tell of time found anew, and with less flicker where nothing moves; as they are for the paper's
    /// steadying of 0.
    private func steadied(_ X: Tensor, _ passed: Double, _ t: Int) throws -> Tensor {
        try networks.clock.time(.steadying) {
            try settings.steadying.apply(
                completion?(X) ?? X, measurementNoise: measurement.noise.sigma, passedNoise: passed,
                noiseToSignal: schedule.noiseToSignal(t))
        }
    }

    /// Frames in the data step's range; as they are for the paper's, which has none.
    private func inRange(_ X: Tensor) throws -> Tensor {
        try settings.dataStep.range.map { try X.clamped(to: $0) } ?? X
    }
}
