/// A kind of work that a run's time goes to.
public enum WorkPhase: String, Sendable, Codable, CaseIterable, CodingKeyRepresentable {
    /// Opening the engine, the file and the model, and making the operator.
    case preparing
    /// Decoding frames, making tensors of them, and finding their noise.
    case reading
    /// What the start encodes, without the encoding.
    case firstEstimate = "first-estimate"
    /// Noise predictions of the inversion.
    case inverting
    /// Noise predictions of the sampling.
    case denoising
    case decoding
    case encoding
    /// Data steps, and what is told of the measurement for them (rounding's bands).
    case dataStep = "data-step"
    case steadying
    /// All else of the algorithm: the low-pass filter, the renoising, ranges.
    case sampling
    /// Encoding frames into the output, and waiting for the encoder.
    case writing

    /// Whether it is a pass of a network.
    public var isNetwork: Bool {
        switch self {
        case .inverting, .denoising, .decoding, .encoding: true
        default: false
        }
    }
}

/// Seconds by phase. Each second counts once, for the innermost phase. On a GPU, which is given work ahead of time, a phase's seconds are those
/// until its work was handed over; the wait stands where a number is read back.
public struct PhaseTimes: Sendable, Codable, Equatable {
    public private(set) var seconds: [WorkPhase: Double]

    public init(seconds: [WorkPhase: Double] = [:]) { self.seconds = seconds }

    public var total: Double { seconds.values.reduce(0, +) }
    /// The part of all seconds that networks took, 0 ... 1.
    public var networkShare: Double { total > 0 ? seconds.filter(\.key.isNetwork).values.reduce(0, +) / total : 0 }

    public mutating func add(_ phase: WorkPhase, _ more: Double) { seconds[phase, default: 0] += more }

    public func adding(_ others: PhaseTimes) -> PhaseTimes {
        var sum = self
        sum.add(others)
        return sum
    }

    public mutating func add(_ others: PhaseTimes) {
        for (phase, more) in others.seconds { add(phase, more) }
    }

    public init(from decoder: any Decoder) throws {
        seconds = try decoder.singleValueContainer().decode([WorkPhase: Double].self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(seconds)
    }
}

/// Measures phases within phases, on one thread.
package final class PhaseClock {
    package private(set) var times = PhaseTimes()
    private var phases: [WorkPhase] = []
    private var since = ContinuousClock.now

    package init() {}

    package func time<R>(_ phase: WorkPhase, _ work: () throws -> R) rethrows -> R {
        turn()
        phases.append(phase)
        defer {
            turn()
            phases.removeLast()
        }
        return try work()
    }

    /// Gives the time since the last turn to the phase that ran.
    private func turn() {
        let now = ContinuousClock.now
        if let phase = phases.last { times.add(phase, (now - since) / .seconds(1)) }
        since = now
    }
}
