import Diffusion
import InverseProblems
import TensorKit

/// Step 4's filters: X * h_sigma with sigma = lambda sqrt(1 - abar), frame by frame. Made before the first timestep.
struct LowPass {
    private let filters: [Int: GaussianBlur]

    init(_ settings: Settings, _ schedule: DDIMSchedule) throws {
        var filters: [Int: GaussianBlur] = [:]
        for t in settings.timesteps {
            let sigma = settings.lambda * (1 - schedule.alphaBar(t)).squareRoot()
            guard sigma > 0 else { continue }
            filters[t] = try GaussianBlur.lowPass(sigma: sigma, taps: settings.lowPassTaps.count)
        }
        self.filters = filters
    }

    /// Copies their matrices to a GPU, where a timestep would have to wait for them.
    func prepare(for shape: [Int], _ device: Device) throws {
        for filter in filters.values { try filter.prepare(for: shape, .float32, device) }
    }

    func callAsFunction(_ X: Tensor, _ t: Int) throws -> Tensor { try filters[t]?.apply(X) ?? X }
}

extension Algorithm1 {
    /// Copies to the device what the timesteps would have to wait for.
    func prepareDevice() throws {
        let (shape, device) = (measurement.videoShape, measurement.frames.device)
        try lowPass.prepare(for: shape, device)
        try SteadyingFilter.prepare(for: shape, .float32, device)
        try networks.prepare()
    }
}
