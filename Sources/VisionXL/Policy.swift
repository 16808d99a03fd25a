import Diffusion
import InverseProblems
import TensorKit

/// Defaults: what is chosen where nothing was asked, and why. The only place where a default depends on anything (what depends on a file or a
/// device is in the same hands one room up). Docs/DataStep.md and Docs/Algorithm.md have the measurements behind the rules.
public enum Policy {
    /// Every number of a run.
    /// - Parameter dataStep: of somebody's own, in place of the one that is asked for.
    /// - Throws: `RestorationError.invalidOption` for numbers out of range, `PendingFact` where a rule needs what is not known yet.
    public static func settle(
        _ asked: RestorationOptions, _ facts: some Facts, dataStep: (any DataStep)? = nil
    ) throws -> Settings {
        try asked.validate()
        return try Rules(asked: asked, facts: facts, ownDataStep: dataStep).settings()
    }

    /// The same as a table, in which a value that needs what is not known yet says so.
    /// - Throws: `RestorationError.invalidOption` for numbers out of range.
    public static func table(_ asked: RestorationOptions, _ facts: some Facts) throws -> [Row] {
        try asked.validate()
        return try Rules(asked: asked, facts: facts).rows()
    }

    /// Of the numbers, those that decide how long a run takes: none of them depends on the noise.
    /// - Throws: as `settle`.
    public static func extent(_ asked: RestorationOptions, _ facts: some Facts) throws -> Extent {
        try asked.validate()
        let rules = Rules(asked: asked, facts: facts)
        return Extent(
            timesteps: try rules.timesteps().value.count, exactCodecSteps: try rules.exactCodecSteps().value,
            conjugateGradientSteps: rules.dataStepKind().value == .conjugateGradients ? rules.iterations().value : nil,
            start: try rules.start().value,
            firstEstimate: try facts.hasOwnEstimate() ? nil : rules.firstEstimate().value,
            addsCodecResidual: try rules.codecResidual().value > 0)
    }

    /// How much a run does.
    public struct Extent: Sendable, Equatable {
        public var timesteps: Int
        /// Of these, the last ones that have the full autoencoder.
        public var exactCodecSteps: Int
        /// Of each data step; nil for a proximal one.
        public var conjugateGradientSteps: Int?
        public var start: Start
        /// Nil where the frames were brought along.
        public var firstEstimate: FirstEstimate?
        public var addsCodecResidual: Bool

        package init(
            timesteps: Int, exactCodecSteps: Int, conjugateGradientSteps: Int? = nil, start: Start,
            firstEstimate: FirstEstimate?, addsCodecResidual: Bool = false
        ) {
            (self.timesteps, self.exactCodecSteps) = (timesteps, exactCodecSteps)
            (self.conjugateGradientSteps, self.start) = (conjugateGradientSteps, start)
            (self.firstEstimate, self.addsCodecResidual) = (firstEstimate, addsCodecResidual)
        }

        public init(_ settings: Settings) {
            self.init(
                timesteps: settings.timesteps.count, exactCodecSteps: settings.exactCodecSteps,
                conjugateGradientSteps: (settings.dataStep as? ConjugateGradientStep)?.iterations,
                start: settings.start, firstEstimate: settings.options.firstEstimate,
                addsCodecResidual: settings.codecResidual > 0)
        }
    }

    /// tau / T of the paper.
    static let tau = 0.3
    /// l of the paper.
    package static let iterations = 10
    /// The row of the timesteps that keep the full autoencoder.
    package static let fullCodecRow = "full autoencoder"
    /// The row of the first estimate.
    package static let firstEstimateRow = "first estimate"

    /// What keeps a device busy: four frames a GPU, one a Mac's, which shares its memory; as many as have the pixels of one frame of 512 x 512,
    /// up to four, a CPU.
    public static func passes(on device: Device, height: Int, width: Int) -> PassSizes {
        switch device {
        case .cuda, .simulated(.cuda): PassSizes(frames: 4)
        case .mps, .simulated(.mps): PassSizes(frames: 1)
        case .cpu: PassSizes(frames: min(max((1 << 18) / max(height * width, 1), 1), 4))
        }
    }

    /// A line of the table.
    public struct Row: Sendable, Equatable, Encodable {
        /// "eta".
        public var name: String
        /// How it is said: "--eta".
        public var option: String
        /// In words; nil while it is pending.
        public var value: String?
        /// A sentence.
        public var reason: String

        public init(_ name: String, _ option: String, _ value: String?, _ reason: String) {
            (self.name, self.option, self.value, self.reason) = (name, option, value, reason)
        }
    }

    /// A value with its reason.
    public struct Choice<Value: Sendable>: Sendable {
        public var value: Value
        public var reason: String

        public init(_ value: Value, _ reason: String) { (self.value, self.reason) = (value, reason) }

        /// What was said, or a default that depends on nothing.
        public init(_ said: Value?, else value: Value, _ reason: String) {
            (self.value, self.reason) = said.map { ($0, "As said.") } ?? (value, reason)
        }

        /// What was said, or what a rule chooses.
        public init(_ said: Value?, rule: () throws -> Choice) rethrows {
            self = try said.map { Choice($0, "As said.") } ?? rule()
        }

        /// A line of the table; a pending one where a rule wants what is not known.
        public static func row(
            _ name: String, _ option: String, _ text: (Value) -> String, _ choose: () throws -> Choice
        ) throws -> Row {
            do {
                let choice = try choose()
                return Row(name, option, text(choice.value), choice.reason)
            } catch let pending as PendingFact {
                return Row(name, option, nil, "After the first frame: it depends on \(pending.fact).")
            }
        }
    }
}
