import Diffusion
import Foundation
import Networks

extension DDIMSchedule {
    /// Reads `scheduler_config.json`, also that of another sampler: what matters here is the training schedule, what the network predicts and
    /// how timesteps are spaced.
    /// - Throws: `ModelError`, by name for samplers of other kinds of models (flow matching, EDM's).
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
        let sampler = try Sampler.named(json)
        try json.require("trained_betas", "null", default: "null")
        try json.require("thresholding", "false", default: "false")
        // SDXL's own latents pass 1; only models of pixels are clipped.
        try json.require("clip_sample", "false", default: "false")
        let trainingSteps = try json.positive("num_train_timesteps", default: 1000)
        var distilledSteps: Int?
        if sampler == .consistency {
            let steps = try json.positive("original_inference_steps", default: 50)
            guard steps <= trainingSteps else {
                throw ModelError.invalid(
                    path: json.path, key: "original_inference_steps", expected: "at most num_train_timesteps")
            }
            distilledSteps = steps
        }
        self.init(
            betaStart: try json.double("beta_start"), betaEnd: try json.double("beta_end"),
            betas: try value("beta_schedule", BetaSchedule.linear, "linear or scaled_linear"),
            trainingSteps: trainingSteps,
            hasZeroTerminalSNR: try json.bool("rescale_betas_zero_snr", default: false),
            spacing: try value("timestep_spacing", sampler.spacing, "leading, trailing or linspace"),
            stepsOffset: try json.int("steps_offset", default: 0),
            prediction: try value("prediction_type", Prediction.noise, "epsilon, v_prediction or sample"),
            distilledSteps: distilledSteps)
    }
}

/// diffusers' samplers for models of this kind, by what matters of them.
private enum Sampler {
    /// What a configuration that says nothing of spacing means.
    case leading, linspace
    /// Of a network that was distilled on some timesteps.
    case consistency

    /// Where timesteps are when a configuration says nothing.
    var spacing: DDIMSchedule.Spacing { self == .linspace ? .linspace : .leading }

    private static let kinds: [String: Sampler] = [
        "DDIMScheduler": .leading, "DDPMScheduler": .leading, "PNDMScheduler": .leading,
        "DDIMParallelScheduler": .leading, "DDPMParallelScheduler": .leading, "DDIMInverseScheduler": .leading,
        "EulerDiscreteScheduler": .linspace, "EulerAncestralDiscreteScheduler": .linspace,
        "LMSDiscreteScheduler": .linspace, "HeunDiscreteScheduler": .linspace,
        "KDPM2DiscreteScheduler": .linspace, "KDPM2AncestralDiscreteScheduler": .linspace,
        "DPMSolverMultistepScheduler": .linspace, "DPMSolverSinglestepScheduler": .linspace,
        "DPMSolverSDEScheduler": .linspace, "DEISMultistepScheduler": .linspace,
        "UniPCMultistepScheduler": .linspace, "SASolverScheduler": .linspace,
        "LCMScheduler": .consistency, "TCDScheduler": .consistency,
    ]

    static func named(_ json: ConfigurationReader) throws -> Sampler {
        guard let name = try json.optionalString("_class_name") else { return .leading }
        guard let kind = kinds[name] else {
            throw ModelError.unsupported(
                path: json.path, key: "_class_name", value: name,
                supported: kinds.keys.sorted().joined(separator: ", "))
        }
        // Networks that take a flow's time, or EDM's, have these beside a name that is known.
        try json.require("use_flow_sigmas", "false", default: "false")
        return kind
    }
}
