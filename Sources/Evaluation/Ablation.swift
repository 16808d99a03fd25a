import Baselines
import InverseProblems
import VisionXL

/// One part of an algorithm varied and the rest left alone, as in the paper's Tables 3 to 5.
public enum Ablation: String, Sendable, CaseIterable {
    /// How the sampling starts: inverted or noisy, one latent for all frames or one for each (Table 3).
    case start
    /// How much of the schedule is sampled.
    case tau
    /// Conjugate-gradient steps of each data step.
    case cg
    /// The low-pass filter's lambda.
    case lowpass
    /// What holds the frames to the measurement.
    case dataStep = "data-step"
    /// How much time this program's own algorithm may take.
    case speed
    /// Each part of this program's algorithm that differs from the paper's, put back alone.
    case parts

    /// What is varied: this program's defaults, or the paper's algorithm, whose parts have nothing behind them that hides a difference.
    public var base: RestorationOptions { self == .speed || self == .parts ? RestorationOptions() : .paper }

    /// A row of the table.
    public struct Variant: Sendable {
        public var name: String
        public var options: RestorationOptions
        /// In place of the options'.
        public var dataStep: (any DataStep)?
    }

    /// Options under the names that a table shows, the base's own among them.
    ///
    /// - Parameter base: everything that is not varied; `base` is meant.
    public func variants(of base: RestorationOptions) -> [Variant] {
        func varied(
            _ name: String, dataStep: (any DataStep)? = nil, _ change: (inout RestorationOptions) -> Void
        ) -> Variant {
            var options = base
            change(&options)
            return Variant(name: name, options: options, dataStep: dataStep)
        }
        switch self {
        case .start:
            let names: [(Start, String)] = [
                (.firstFrameInversion, "batch-consistent inversion"), (.everyFrameInversion, "inversion of each frame"),
                (.sharedNoise, "batch-consistent noise"), (.independentNoise, "noise of each frame"),
            ]
            return names.map { start, name in varied(name) { $0.start = start } }
        case .tau:
            return [0.1, 0.2, 0.3, 0.4, 0.5, 0.6].map { (tau: Double) in varied("tau = \(tau) T") { $0.tau = tau } }
        case .cg:
            return [0, 1, 5, 10, 20].map { (steps: Int) in varied("l = \(steps)") { $0.conjugateGradientSteps = steps }
            }
        case .dataStep:
            let iterations = base.conjugateGradientSteps ?? Policy.iterations
            return [
                varied("conjugate gradients") { $0.dataStep = .conjugateGradients },
                varied("with a symmetrizer", dataStep: SymmetricStep(iterations: iterations)) {
                    $0.dataStep = .conjugateGradients
                },
                varied("proximal") { $0.dataStep = .proximal },
            ]
        case .speed:
            return Speed.allCases.map { speed in varied(speed.rawValue) { $0.speed = speed } }
        case .parts:
            let paper = RestorationOptions.paper
            return [
                varied("this program") { _ in },
                varied("the paper") {
                    let seed = $0.seed
                    $0 = paper
                    $0.seed = seed
                },
                varied("the paper's timesteps") {
                    ($0.timesteps, $0.speed) = (nil, nil)
                    ($0.steps, $0.tau) = (paper.steps, paper.tau)
                },
                varied("the paper's start") { $0.start = paper.start },
                varied("the paper's first estimate") {
                    ($0.firstEstimate, $0.upsampling) = (paper.firstEstimate, paper.upsampling)
                },
                varied("the paper's data step") {
                    $0.dataStep = paper.dataStep
                    $0.conjugateGradientSteps = paper.conjugateGradientSteps
                },
                varied("c = 1") { $0.priorError = 1...1 },
                varied("no final data step") { $0.finalConsistencySteps = 0 },
                varied("no steadying") { $0.steadiness = 0 },
                varied("the paper's eta") { $0.eta = paper.eta },
                varied("no autoencoder's residual") { $0.codecResidual = 0 },
                varied("the paper's lambda") { $0.lowPass = paper.lowPass },
            ]
        case .lowpass:
            return [("no filter", 0), ("lambda = 1", 1), ("lambda = sqrt 2", 2.0.squareRoot()), ("lambda = 2", 2)].map {
                name, lambda in
                varied(name) { $0.lowPass = lambda }
            }
        }
    }
}
