/// What a metric says of a video: a number for each frame (for metrics of change in time: for each pair of neighbours) and their mean.
///
/// As JSON: `{"perFrame": [31.2, "inf"], "mean": "inf"}`. JSON has no infinity, so that one is written as a string.
public struct VideoScore: Hashable, Sendable {
    /// In the video's order; never empty.
    public let perFrame: [Double]
    /// The arithmetic mean of `perFrame`: infinite as soon as one frame is.
    public let mean: Double

    /// - Parameter perFrame: at least one number.
    public init(perFrame: [Double]) {
        precondition(!perFrame.isEmpty, "a score has at least one frame")
        self.perFrame = perFrame
        mean = perFrame.reduce(0, +) / Double(perFrame.count)
    }
}

extension VideoScore: Codable {
    private enum CodingKeys: String, CodingKey { case perFrame, mean }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(perFrame.map(Number.init), forKey: .perFrame)
        try container.encode(Number(value: mean), forKey: .mean)
    }

    /// Reads what `encode` wrote. The mean is computed again from the frames.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let perFrame = try container.decode([Number].self, forKey: .perFrame).map(\.value)
        guard !perFrame.isEmpty else {
            throw DecodingError.dataCorruptedError(
                forKey: .perFrame, in: container, debugDescription: "A score has at least one frame.")
        }
        self.init(perFrame: perFrame)
    }

    /// A double in JSON: a number, or one of the strings inf, -inf and nan.
    private struct Number: Codable {
        let value: Double

        init(value: Double) { self.value = value }

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            guard let text = try? container.decode(String.self) else {
                value = try container.decode(Double.self)
                return
            }
            guard ["inf", "-inf", "nan"].contains(text), let value = Double(text) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(text)\" is not a number.")
            }
            self.value = value
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            if value.isFinite { try container.encode(value) } else { try container.encode("\(value)") }
        }
    }
}
