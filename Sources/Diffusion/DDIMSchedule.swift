import Foundation

/// The noise schedule a diffusion model was trained with, and the timesteps DDIM (Song et al. 2021) samples it at.
public struct DDIMSchedule: Sendable, Equatable {
    /// Products of 1 - beta, float64; entry i is the signal's share of the variance at training step i.
    public let cumulativeAlphas: [Double]
    public let spacing: Spacing
    public let stepsOffset: Int

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
        trainingSteps: Int = 1000,
        spacing: Spacing = .leading, stepsOffset: Int = 1
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
        cumulativeAlphas = betas.map {
            product *= 1 - $0
            return product
        }
        self.spacing = spacing
        self.stepsOffset = stepsOffset
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

    /// The noise's standard deviation over the signal's at a timestep: sqrt((1 - abar) / abar).
    public func noiseToSignal(_ timestep: Int) -> Double {
        let abar = alphaBar(timestep)
        return ((1 - abar) / abar).squareRoot()
    }
}
