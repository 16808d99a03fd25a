/// Why two videos cannot be compared. Each description is a sentence for the user; frames are counted from 0.
public enum MetricError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A tensor that is not a batch of images.
    case notAVideo(shape: [Int])
    /// Two videos of different sizes or lengths.
    case shapesDiffer([Int], [Int])
    /// Frames that the metric's window does not fit into.
    case framesTooSmall(height: Int, width: Int, least: Int)
    /// A metric of change in time of a video that has too few frames.
    case tooFewFrames(Int, least: Int)
    /// A frame with NaN or infinity in it.
    case notFinite(frame: Int)
    /// A range of values that is not a positive number.
    case invalidRange(Double)

    public var description: String {
        switch self {
        case .notAVideo(let shape):
            "A video has frames, channels, height and width, none of them 0; a tensor of the shape \(Self.name(shape)) is none."
        case .shapesDiffer(let a, let b):
            "The videos differ in shape (frames x channels x height x width): \(Self.name(a)) and \(Self.name(b)); compare "
                + "videos of the same size and length."
        case .framesTooSmall(let height, let width, let least):
            "Frames of \(width)x\(height) pixels are too small for this metric, whose window is \(least)x\(least)."
        case .tooFewFrames(let count, let least):
            "A video of \(count) frame\(count == 1 ? "" : "s") has no change in time to measure; at least \(least) are needed."
        case .notFinite(let frame):
            "Frame \(frame) has values that are not finite (NaN or infinity), so it cannot be compared."
        case .invalidRange(let range):
            "The range of values must be a positive number, and \(range) is not."
        }
    }

    private static func name(_ shape: [Int]) -> String { shape.isEmpty ? "()" : shape.map(String.init).joined(separator: "x") }
}
