import Foundation

/// How noisy a measurement is taken to be, and why.
public struct NoiseFigure: Sendable, Equatable, Codable {
    /// Standard deviation in units of [-1, 1].
    public var sigma: Double
    public var source: Source
    /// What a file's lossy coding adds, as a part of sigma; nil where it was not asked for or loses nothing.
    public var coding: Coding?

    /// Where a figure comes from.
    public enum Source: String, Sendable, Codable {
        case said = "as said"
        case record = "from the measurement's .json"
        case bits = "rounding to the file's bits"
        case frames = "estimated from the frames"
    }

    /// Of a lossy coding.
    public struct Coding: Sendable, Equatable, Codable {
        /// ffmpeg's name, "h264".
        public var codec: String
        public var sigma: Double
        /// Whether the quantizers were read from the file, or an ordinary one is assumed.
        public var isMeasured: Bool

        public init(codec: String, sigma: Double, isMeasured: Bool) {
            self.codec = codec
            self.sigma = sigma
            self.isMeasured = isMeasured
        }
    }

    /// - Parameter sigma: 0 or more, in units of [-1, 1]; `VideoMeasurement` refuses others.
    public init(_ sigma: Double, source: Source = .said) {
        self.sigma = sigma
        self.source = source
    }

    /// With a lossy coding's on top, the two being independent.
    public func with(_ coding: Coding) -> NoiseFigure {
        var whole = self
        whole.sigma = NoiseLevel.combined(sigma, coding.sigma)
        whole.coding = coding
        return whole
    }

    /// An exact measurement.
    public static let none = NoiseFigure(0)
    /// A standard deviation that is known.
    public static func sigma(_ sigma: Double) -> NoiseFigure { NoiseFigure(sigma) }
    /// What a file of whole numbers of so many bits rounds away.
    public static func rounding(toBits bits: Int) -> NoiseFigure {
        NoiseFigure(NoiseLevel.rounding(toBits: bits), source: .bits)
    }

    /// sigma, and for a measurement without noise what float32 has rounded away: what a division by sigma needs.
    package var atLeastRounding: Double { max(sigma, 1e-6) }
}

extension NoiseFigure: CustomStringConvertible {
    /// "0.036 (from the measurement's .json; with 0.035 for h264's quantizer)".
    public var description: String {
        let level = String(format: "%.2g", sigma)
        guard let coding else { return "\(level) (\(source.rawValue))" }
        return "\(level) (\(source.rawValue); with \(String(format: "%.2g", coding.sigma)) for \(coding.codec)"
            + (coding.isMeasured ? "'s quantizer)" : ", a guess)")
    }
}
