import Foundation

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
    /// Frames for a network of colour pictures that do not have three channels.
    case notColour(channels: Int)
    /// A clip that has too few frames for the network that looks at it.
    case clipTooShort(Int, least: Int)
    /// Clips of different numbers of frames.
    case lengthsDiffer(Int, Int)
    /// A set that has too few clips for a covariance.
    case tooFewClips(Int, least: Int)
    /// Tensors that are not two sets of features of the same kind.
    case notFeatures([Int], [Int])
    /// Features with NaN or infinity in them.
    case featuresNotFinite
    /// A video in which every pixel always moves.
    case nothingStatic(threshold: Double)
    /// The Fréchet video distance of two videos.
    case comparesSets
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
            "Frames of \(width)x\(height) pixels are too small for this metric, which takes \(least)x\(least) or more."
        case .tooFewFrames(let count, let least):
            "A video of \(count) frame\(count == 1 ? "" : "s") has no change in time to measure; at least \(least) are needed."
        case .notFinite(let frame):
            "Frame \(frame) has values that are not finite (NaN or infinity), so it cannot be compared."
        case .notColour(let channels):
            "The frames have \(channels) channel\(channels == 1 ? "" : "s"), and this metric's network takes colour frames of 3."
        case .clipTooShort(let count, let least):
            "A clip of \(count) frame\(count == 1 ? "" : "s") is too short for this network; at least \(least) are needed."
        case .lengthsDiffer(let a, let b):
            "There are clips of \(a) and of \(b) frames, whose features do not compare; cut all to one length."
        case .tooFewClips(let count, let least):
            "A set of \(count) clip\(count == 1 ? "" : "s") has no covariance; at least \(least) are needed, and many more for a number to rely on."
        case .notFeatures(let a, let b):
            "Features are compared as two matrices (clips x features) with as many features; the shapes are \(Self.name(a)) and \(Self.name(b))."
        case .featuresNotFinite:
            "The features have values that are not finite (NaN or infinity, or too large to square), so they cannot be compared."
        case .nothingStatic(let threshold):
            "Nowhere does the truth stay as it is from one frame to the next (to within \(String(format: "%.2g", threshold))), so there is no still place to look for flicker."
        case .comparesSets:
            "FVD is a distance between two sets of clips, not between two videos; `visionxl evaluate` measures it."
        case .invalidRange(let range):
            "The range of values must be a positive number, and \(range) is not."
        }
    }

    private static func name(_ shape: [Int]) -> String {
        shape.isEmpty ? "()" : shape.map(String.init).joined(separator: "x")
    }
}
