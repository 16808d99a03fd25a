import Foundation
import InverseProblems

/// What `degrade` writes beside a measurement and `restore` reads: the problem, and how exact the numbers in the file are.
public struct MeasurementRecord: Codable, Equatable, Sendable {
    /// Of the file; 1 had the problem as `degradation`, in a few numbers without an order.
    static let format = 2

    public var problem: Problem
    /// Size of the frames before the degradation.
    public var height: Int
    public var width: Int
    public var frameCount: Int
    /// Frames that an average over time sees together; the video is cut into such windows, the last may be shorter.
    public var window: Int
    public var noise: Noise

    /// Standard deviations in units of the pixel range [-1, 1].
    public struct Noise: Codable, Equatable, Sendable {
        /// Gaussian noise that was added.
        public var added: Double
        public var seed: UInt64
        /// Bits of each component in the file.
        public var bitDepth: Int
        /// Rounding to those bits: a step of 2 / (2^bits - 1), divided by the square root of 12; 0 for numbers that were not rounded.
        public var rounding: Double
        /// Whether the file's coding loses more than that (H.264).
        public var isLossy: Bool

        public init(added: Double, seed: UInt64 = 0, bitDepth: Int, rounding: Double, isLossy: Bool) {
            self.added = added
            self.seed = seed
            self.bitDepth = bitDepth
            self.rounding = rounding
            self.isLossy = isLossy
        }
    }

    private enum Key: String, CodingKey {
        case format, problem, degradation, height, width, frameCount, window, noise
    }

    init(problem: Problem, height: Int, width: Int, frameCount: Int, window: Int, noise: Noise) {
        (self.problem, self.height, self.width) = (problem, height, width)
        (self.frameCount, self.window, self.noise) = (frameCount, window, noise)
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Key.self)
        let format = try values.decode(Int.self, forKey: .format)
        guard (1...Self.format).contains(format) else {
            throw WorkflowError.message("its format is \(format), and this program knows \(Self.format)")
        }
        self.init(
            problem: try values.decode(Problem.self, forKey: format == 1 ? .degradation : .problem),
            height: try values.decode(Int.self, forKey: .height), width: try values.decode(Int.self, forKey: .width),
            frameCount: try values.decode(Int.self, forKey: .frameCount),
            window: try values.decode(Int.self, forKey: .window),
            noise: try values.decode(Noise.self, forKey: .noise))
        guard window >= 1 else { throw WorkflowError.message("its window is \(window)") }
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: Key.self)
        try values.encode(Self.format, forKey: .format)
        try values.encode(problem, forKey: .problem)
        try values.encode(height, forKey: .height)
        try values.encode(width, forKey: .width)
        try values.encode(frameCount, forKey: .frameCount)
        try values.encode(window, forKey: .window)
        try values.encode(noise, forKey: .noise)
    }

    /// `measurement.json` for `measurement.mkv` and for the folder `measurement/`.
    public static func path(beside measurement: String) -> String {
        let trimmed = measurement.count > 1 && measurement.hasSuffix("/") ? String(measurement.dropLast()) : measurement
        return (trimmed as NSString).deletingPathExtension + ".json"
    }

    /// The record beside a measurement; nil where there is none.
    public static func read(beside measurement: String) throws -> MeasurementRecord? {
        let path = path(beside: measurement)
        guard path != measurement, let data = FileManager.default.contents(atPath: path) else { return nil }
        do {
            return try JSONDecoder().decode(MeasurementRecord.self, from: data)
        } catch {
            throw WorkflowError.message(
                "\(path) is not a record of a degradation (\(StrictJSON.describe(error))); say what went wrong with --task, or move "
                    + "the file away.")
        }
    }
}
