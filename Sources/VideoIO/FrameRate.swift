/// Frames per second as an exact fraction in lowest terms: 24000/1001 stays 24000/1001.
///
/// Encoded and decoded as the text "24000/1001".
public struct FrameRate: Sendable, Hashable {
    public let numerator: Int
    public let denominator: Int

    /// 25 frames per second, the rate given to folders of pictures unless told otherwise.
    public static let fps25 = FrameRate(reduced: 25, 1)

    /// Nil unless both numbers are positive.
    public init?(_ numerator: Int, _ denominator: Int = 1) {
        guard numerator > 0, denominator > 0 else { return nil }
        var (a, b) = (numerator, denominator)
        while b != 0 { (a, b) = (b, a % b) }
        self.init(reduced: numerator / a, denominator / a)
    }

    /// Reads "24000/1001" or "25"; nil for anything else, "0/0" included.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        switch parts.count {
        case 1: self.init(parts[0] ?? 0)
        case 2: self.init(parts[0] ?? 0, parts[1] ?? 0)
        default: return nil
        }
    }

    private init(reduced numerator: Int, _ denominator: Int) {
        self.numerator = numerator
        self.denominator = denominator
    }

    /// Frames per second, rounded to a Double.
    public var perSecond: Double { Double(numerator) / Double(denominator) }
}

extension FrameRate: CustomStringConvertible {
    public var description: String {
        denominator == 1 ? "\(numerator)" : "\(numerator)/\(denominator)"
    }
}

extension FrameRate: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let rate = FrameRate(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\"\(text)\" is not a frame rate such as 25 or 24000/1001")
        }
        self = rate
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode("\(numerator)/\(denominator)")
    }
}
