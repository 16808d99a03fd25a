import Diffusion
import InverseProblems

/// What `Policy` may ask about a restoration before it chooses. A fact is looked up when a rule wants it and not before; one that cannot be
/// known yet throws `PendingFact`.
public protocol Facts {
    /// sigma_y, in units of [-1, 1].
    func noise() throws -> Double
    /// Whether the operator makes one pixel of several.
    func mixesPixels() throws -> Bool
    /// Whether a measured frame tells of several restored ones.
    func mixesFrames() throws -> Bool
    /// Whether pixels are at most averaged in blocks.
    func keepsPixelsInBlocks() throws -> Bool
    /// Whether a measured frame has fewer pixels than a restored one.
    func shrinks() throws -> Bool
    /// Bits that the measurement was rounded to, 8 to 16; nil where it was not. Cost: a pass over the measurement.
    func roundedBits() throws -> Int?
    /// Whether there is a network that enlarges, and the measurement is one that it can be given.
    func canEnlarge() throws -> Bool
    /// Whether the start encodes frames that were brought along.
    func hasOwnEstimate() throws -> Bool
    /// Of the prior.
    func schedule() throws -> DDIMSchedule
    /// `DiffusionPrior.decoderGain`.
    func decoderGain() throws -> Double?
}

extension Facts {
    public func mixesFrames() throws -> Bool { false }
    public func canEnlarge() throws -> Bool { false }
    public func hasOwnEstimate() throws -> Bool { false }
}

/// A fact that nobody can tell before more is read.
public struct PendingFact: Error, Sendable, CustomStringConvertible {
    /// "the noise".
    public var fact: String

    public init(_ fact: String) { self.fact = fact }

    public var description: String { "\(fact) is known after the first frame" }
}

/// All there is to know once a measurement and a prior are there.
public final class MeasurementFacts: Facts {
    let measurement: VideoMeasurement
    let prior: any DiffusionPrior
    private let hasEnlargement: Bool
    private let isGivenEstimate: Bool
    private let form: SeparatedForm?
    // Told once: every rule that asks would read the measurement again.
    private lazy var bits = Result { try NoiseLevel.bits(of: measurement.frames, known: measurement.known) }

    /// - Parameters:
    ///   - enlargement: a network for a learned first estimate.
    ///   - hasOwnEstimate: whether there are frames to begin from.
    public init(
        _ measurement: VideoMeasurement, _ prior: any DiffusionPrior, enlargement: (any Enlargement)? = nil,
        hasOwnEstimate: Bool = false
    ) throws {
        self.measurement = measurement
        self.prior = prior
        (hasEnlargement, isGivenEstimate) = (enlargement != nil, hasOwnEstimate)
        form = try measurement.operator.separated(for: measurement.videoShape)
    }

    public func noise() -> Double { measurement.noise.sigma }
    public func mixesPixels() -> Bool { form?.mixesPixels ?? true }
    public func mixesFrames() -> Bool { measurement.operator.mixesFrames }
    public func keepsPixelsInBlocks() -> Bool { form?.keepsPixelsInBlocks ?? false }
    public func shrinks() -> Bool { measurement.shrinks }
    public func roundedBits() throws -> Int? { try bits.get() }
    public func canEnlarge() -> Bool { hasEnlargement && LearnedEstimate.fits(measurement) }
    public func hasOwnEstimate() -> Bool { isGivenEstimate }
    public func schedule() -> DDIMSchedule { prior.schedule }
    public func decoderGain() -> Double? { prior.decoderGain }
}
