import TensorKit

/// What can be wrong with an inverse problem. Each description is a sentence that says what to do.
public enum ProblemError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A tensor that is not (frames, channels, height, width), or has no elements.
    case notAVideo(shape: [Int])
    /// Elements that are not real floating-point numbers.
    case notFloatingPoint(DType)
    /// Frames whose sides are no multiples of the pooling factor.
    case indivisible(height: Int, width: Int, factor: Int)
    /// A mask of another size than the frames.
    case maskSize(mask: [Int], height: Int, width: Int)
    /// Masks of each frame, for a video of another number of frames.
    case maskFrames(Int, frames: Int)
    /// A temporal average without border needs as many frames as its window has.
    case tooFewFrames(Int, window: Int)
    /// Two tensors of a problem that do not belong together.
    case shapeMismatch(what: String, shape: [Int], expected: [Int])
    /// Infinities or NaN where numbers were expected.
    case notFinite(String)
    /// A number out of its range; the sentence names it.
    case invalidParameter(String)
    /// A task that no preset is named after.
    case unknownTask(String, known: [String])

    public var description: String {
        switch self {
        case .notAVideo(let shape):
            "A video of the shape (frames, channels, height, width) is needed, not \(shape); add or remove dimensions."
        case .notFloatingPoint(let type):
            "The operators compute with floating-point numbers in [-1, 1], not \(type.rawValue); convert the video first."
        case .indivisible(let height, let width, let factor):
            "Frames of \(width)x\(height) cannot be pooled by \(factor): crop them to "
                + "\(width / factor * factor)x\(height / factor * factor), or pad them to "
                + "\((width + factor - 1) / factor * factor)x\((height + factor - 1) / factor * factor)."
        case .maskSize(let mask, let height, let width):
            "The mask is \(mask.reversed().map(String.init).joined(separator: "x")) but the frames are \(width)x\(height); "
                + "give a mask of the frames' size."
        case .maskFrames(let masks, let frames):
            "There are \(masks) masks and \(frames) frames; give one mask for each frame, or one for all."
        case .tooFewFrames(let frames, let window):
            "\(frames) frames cannot be averaged over windows of \(window) without a border: give at least \(window) frames, or "
                + "choose the boundary circular or replicate."
        case .shapeMismatch(let what, let shape, let expected):
            "The \(what) has the shape \(shape) where \(expected) is needed; check the sizes and the degradation."
        case .notFinite(let what):
            "The \(what) has values that are not finite numbers; check what it was made from."
        case .invalidParameter(let sentence):
            sentence
        case .unknownTask(let name, let known):
            "There is no task named '\(name)'; choose one of \(known.joined(separator: ", "))."
        }
    }
}
