import Diffusion
import Foundation
import Networks

extension DDIMSchedule {
    /// Reads `scheduler_config.json`, also that of another sampler: what matters here is the training schedule.
    public init(contentsOf url: URL) throws { try self.init(ConfigurationReader(contentsOf: url)) }

    init(_ json: ConfigurationReader) throws {
        func value<T: RawRepresentable>(_ key: String, _ fallback: T, _ known: String) throws -> T
        where T.RawValue == String {
            let text = try json.string(key, default: fallback.rawValue)
            guard let value = T(rawValue: text) else {
                throw ModelError.unsupported(path: json.path, key: key, value: text, supported: known)
            }
            return value
        }
        try json.require("prediction_type", "\"epsilon\"", default: "\"epsilon\"")
        try json.require("trained_betas", "null", default: "null")
        try json.require("rescale_betas_zero_snr", "false", default: "false")
        try json.require("thresholding", "false", default: "false")
        try json.require("clip_sample", "false", default: "false")
        self.init(
            betaStart: try json.double("beta_start"), betaEnd: try json.double("beta_end"),
            betas: try value("beta_schedule", BetaSchedule.linear, "linear or scaled_linear"),
            trainingSteps: try json.positive("num_train_timesteps", default: 1000),
            spacing: try value("timestep_spacing", Spacing.leading, "leading, trailing or linspace"),
            stepsOffset: try json.int("steps_offset", default: 0))
    }
}
