import Diffusion
import InverseProblems
import VisionXL

/// Everything that a default depends on, and every value of it that a rule tells apart.
struct Conditions: Hashable, CustomStringConvertible {
    enum Gain: Double, CaseIterable { case light = 0.1, heavy = 1 }

    /// sigma_y. Below 0.01, of which the roundings are two, and from there on.
    enum Noise: CaseIterable {
        case none, ofSixteenBits, ofEightBits, small, hundredth, large

        var sigma: Double {
            switch self {
            case .none: 0
            case .ofSixteenBits: NoiseLevel.rounding(toBits: 16)
            case .ofEightBits: NoiseLevel.rounding(toBits: 8)
            case .small: 0.006
            case .hundredth: 0.01
            case .large: 0.05
            }
        }
    }

    var step: DataStepKind?
    var gain: Gain?
    var shrinks, mixesPixels, keepsPixelsInBlocks: Bool
    var noise: Noise
    var bits: Int?

    static let all: [Conditions] = {
        var all: [Conditions] = []
        for step in [nil, .proximal, .conjugateGradients] as [DataStepKind?] {
            for gain in [nil, .light, .heavy] as [Gain?] {
                for flags in 0..<8 {
                    for noise in Noise.allCases {
                        for bits in [nil, 8, 16] as [Int?] {
                            all.append(
                                Conditions(
                                    step: step, gain: gain, shrinks: flags & 1 > 0, mixesPixels: flags & 2 > 0,
                                    keepsPixelsInBlocks: flags & 4 > 0, noise: noise, bits: bits))
                        }
                    }
                }
            }
        }
        return all
    }()

    var asked: RestorationOptions {
        var asked = RestorationOptions()
        asked.dataStep = step
        return asked
    }

    var description: String {
        "\(step?.rawValue ?? "default") step, \(gain.map { "\($0)" } ?? "unknown") gain, "
            + "\(shrinks ? "shrunk" : "full size"), "
            + "\(mixesPixels ? "mixed" : "separate") pixels\(keepsPixelsInBlocks ? " in blocks" : ""), \(noise) noise, "
            + "\(bits.map { "\($0)" } ?? "no") bits"
    }
}

/// Facts of some conditions, which note what they are asked for. Those in `pending` cannot be told.
final class NotedFacts: Facts {
    enum Name: CaseIterable {
        case noise, mixesPixels, keepsPixelsInBlocks, shrinks, roundedBits, schedule, decoderGain
    }

    let conditions: Conditions
    let pending: Set<Name>
    private let (enlarges, averages): (Bool, Bool)
    private(set) var asked: Set<Name> = []

    init(_ conditions: Conditions, pending: Set<Name> = [], enlarges: Bool = false, averages: Bool = false) {
        (self.conditions, self.pending) = (conditions, pending)
        (self.enlarges, self.averages) = (enlarges, averages)
    }

    private func tell<Value>(_ name: Name, _ value: Value) throws -> Value {
        asked.insert(name)
        guard !pending.contains(name) else { throw PendingFact("the \(name)") }
        return value
    }

    func noise() throws -> Double { try tell(.noise, conditions.noise.sigma) }
    func mixesPixels() throws -> Bool { try tell(.mixesPixels, conditions.mixesPixels) }
    func keepsPixelsInBlocks() throws -> Bool { try tell(.keepsPixelsInBlocks, conditions.keepsPixelsInBlocks) }
    func shrinks() throws -> Bool { try tell(.shrinks, conditions.shrinks) }
    func roundedBits() throws -> Int? { try tell(.roundedBits, conditions.bits) }
    func canEnlarge() -> Bool { enlarges }
    func mixesFrames() -> Bool { averages }
    func schedule() throws -> DDIMSchedule { try tell(.schedule, DDIMSchedule()) }
    func decoderGain() throws -> Double? { try tell(.decoderGain, conditions.gain?.rawValue) }
}

/// Some conditions, what is chosen under them, and no word of the others.
struct Expected<Value: Equatable & Sendable>: Sendable {
    let value: Value
    let holds: @Sendable (Conditions) -> Bool

    init(_ value: Value, _ holds: @escaping @Sendable (Conditions) -> Bool) {
        (self.value, self.holds) = (value, holds)
    }
}
