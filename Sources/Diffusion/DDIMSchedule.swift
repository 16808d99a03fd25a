import Foundation
import TensorKit

/// The noise schedule a diffusion model was trained with, and the timesteps DDIM (Song et al. 2021) samples it at.
public struct DDIMSchedule: Sendable, Equatable {
    /// Products of 1 - beta, float64; entry i is the signal's share of the variance at training step i.
    public let cumulativeAlphas: [Double]
    public let spacing: Spacing
    public let stepsOffset: Int
    /// What the network was trained to predict.
    public let prediction: Prediction
    /// Where a network was distilled on a sampler's timesteps, how many these are: sampling takes its own from among them (LCM, Luo et al. 2023).
    public let distilledSteps: Int?

    /// What a network predicts of latents x = sqrt(abar) x0 + sqrt(1 - abar) eps.
    public enum Prediction: String, Sendable {
        /// eps.
        case noise = "epsilon"
        /// v = sqrt(abar) eps - sqrt(1 - abar) x0 (Salimans & Ho 2022, appendix D).
        case velocity = "v_prediction"
        /// x0.
        case data = "sample"
    }

    /// How sampling timesteps are chosen from the training ones ("Common diffusion noise schedules...", Lin et al. 2024, table 2).
    public enum Spacing: String, Sendable {
        case leading, trailing, linspace
    }

    public enum BetaSchedule: String, Sendable {
        case linear
        /// Linear in the square root.
        case scaledLinear = "scaled_linear"
    }

    public init(
        betaStart: Double = 0.00085, betaEnd: Double = 0.012, betas schedule: BetaSchedule = .scaledLinear,
        trainingSteps: Int = 1000, hasZeroTerminalSNR: Bool = false,
        spacing: Spacing = .leading, stepsOffset: Int = 1, prediction: Prediction = .noise, distilledSteps: Int? = nil
    ) {
        let count = max(trainingSteps, 1)
        func ramp(_ from: Double, _ to: Double) -> [Double] {
            (0..<count).map { count == 1 ? from : from + (to - from) * Double($0) / Double(count - 1) }
        }
        let betas =
            switch schedule {
            case .linear: ramp(betaStart, betaEnd)
            case .scaledLinear: ramp(betaStart.squareRoot(), betaEnd.squareRoot()).map { $0 * $0 }
            }
        var product = 1.0
        let products = betas.map {
            product *= 1 - $0
            return product
        }
        cumulativeAlphas = hasZeroTerminalSNR ? Self.withoutSignalAtTheEnd(products) : products
        self.spacing = spacing
        self.stepsOffset = stepsOffset
        self.prediction = prediction
        self.distilledSteps = distilledSteps
    }

    /// Roots of abar, shifted and scaled so that nothing is left of the signal at the last step and the first stays (Lin et al. 2024,
    /// algorithm 1); the last is 2^-24, as diffusers has it, so that data can be asked for there.
    private static func withoutSignalAtTheEnd(_ products: [Double]) -> [Double] {
        let roots = products.map { $0.squareRoot() }
        guard let first = roots.first, let last = roots.last, first > last else { return products }
        var scaled = roots.map { root in
            let root = (root - last) * first / (first - last)
            return root * root
        }
        scaled[scaled.count - 1] = 0x1p-24
        return scaled
    }

    /// Ho et al.'s schedule (2020), which pixel-space models such as guided-diffusion's have: betas from 1e-4 to 0.02 over 1000 steps, and
    /// as steep over another number of them.
    public static func linear(steps: Int = 1000) -> DDIMSchedule {
        let scale = 1000 / Double(max(steps, 1))
        return DDIMSchedule(
            betaStart: min(scale * 1e-4, 0.999), betaEnd: min(scale * 0.02, 0.999), betas: .linear, trainingSteps: steps
        )
    }

    public var trainingSteps: Int { cumulativeAlphas.count }

    /// Timesteps of a sampling in `count` steps, from noise to data.
    public func timesteps(_ count: Int) -> [Int] {
        let total = trainingSteps
        if let distilledSteps {
            let known = (1...distilledSteps).reversed().map { $0 * (total / distilledSteps) - 1 }
            let count = min(max(count, 1), distilledSteps)
            return (0..<count).map { known[$0 * distilledSteps / count] }
        }
        switch spacing {
        case .leading:
            let ratio = total / max(count, 1)
            return (0..<count).reversed().map { min($0 * ratio + stepsOffset, total) }
        case .trailing:
            let ratio = Double(total) / Double(max(count, 1))
            return (0..<count).map { Int((Double(total) - Double($0) * ratio).rounded(.toNearestOrEven)) - 1 }
        case .linspace:
            guard count > 1 else { return [0] }
            return (0..<count).reversed().map {
                Int((Double($0) * Double(total - 1) / Double(count - 1)).rounded(.toNearestOrEven))
            }
        }
    }

    /// The signal's share of the variance at a timestep, abar; 1 before the first.
    ///
    /// A timestep counts the noising steps that were made: timestep t has the product of t factors, entry t - 1. (The authors'
    /// code does so; diffusers takes entry t.)
    public func alphaBar(_ timestep: Int) -> Double {
        timestep <= 0 ? 1 : cumulativeAlphas[min(timestep, trainingSteps) - 1]
    }

    /// The noise in latents, from what the network predicts of them.
    public func noise(from output: Tensor, in latents: Tensor, timestep: Int) throws(TensorError) -> Tensor {
        let abar = alphaBar(timestep)
        switch prediction {
        case .noise: return output
        case .velocity: return try (output * abar.squareRoot()).adding(latents, times: (1 - abar).squareRoot())
        case .data: return try latents.adding(output, times: -abar.squareRoot()) / (1 - abar).squareRoot()
        }
    }

    /// The noise's standard deviation over the signal's at a timestep: sqrt((1 - abar) / abar).
    public func noiseToSignal(_ timestep: Int) -> Double {
        let abar = alphaBar(timestep)
        return ((1 - abar) / abar).squareRoot()
    }
}
