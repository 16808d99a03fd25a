import Foundation
import InverseProblems
import TensorKit
import VideoIO
import VisionXL

/// A measured file that is about to be restored: what is known of it before its first frame is decoded, and the operator, made once.
public struct MeasuredVideo: Sendable {
    public let reader: VideoReader
    /// What `degrade` wrote beside it.
    public let record: MeasurementRecord?
    public let problem: Problem
    /// Frames that are restored together.
    public let window: Int
    /// What the record says of it, in measured frames.
    let recordedWindow: Int?
    /// Of the restored frames.
    public let height: Int
    public let width: Int
    /// A; it keeps its decompositions from window to window.
    let `operator`: any LinearOperator
    private let recipe: Recipe

    public var info: VideoInfo { reader.info }

    /// Opens the input of a recipe.
    /// - Throws: `WorkflowError` where nobody says what went wrong, `VideoError`, `ProblemError` for frames that do not fit.
    public init(_ recipe: Recipe) async throws {
        self.recipe = recipe
        // Counted, for the time that is left.
        reader = try await VideoReader(recipe.input, countFrames: true)
        // What is said says everything; only without it must the record be sound.
        record =
            recipe.problem == nil
            ? try MeasurementRecord.read(beside: recipe.input) : try? MeasurementRecord.read(beside: recipe.input)
        guard let problem = recipe.problem ?? record?.problem else {
            throw WorkflowError.message(
                "What went wrong with \(recipe.input) is not known: say it with --task (\(Problem.tasks.joined(separator: ", "))) or the options "
                    + "for its parts (there is no \(MeasurementRecord.path(beside: recipe.input)) that says it).")
        }
        self.problem = problem
        let info = reader.info
        // Of a video that is long enough for an average over time without a border.
        let full = try problem.fullSize(ofMeasurement: [1, problem.channels, info.height, info.width])
        (height, width) = (full[2], full[3])
        let sizes = try await onThread { _ in try problem.fileSizes(height: full[2], width: full[3]) }
        let files = try await Masks.read(sizes)
        `operator` = try await onThread { _ in try problem.operator(height: full[2], width: full[3], files: files) }
        _ = try `operator`.outputShape(for: full)
        // A record counts frames before the degradation, which an average without a border leaves fewer of.
        let (A, recorded) = (`operator`, record?.window)
        recordedWindow = try recorded.map { try A.outputShape(for: [$0] + full[1...])[0] }
        window = Policy.window(recipe.window, recorded: recordedWindow).value
    }

    /// Its frames, window by window.
    func windows() throws -> FrameWindows { try FrameWindows(reader, frames: recipe.frames, size: window) }

    /// Y of a window's frames: decoded and converted once.
    func measured(_ frames: [VideoFrame]) throws -> Tensor { try problem.reduced(Tensor(frames: frames)) }

    /// How many frames are restored of so many measured ones.
    func restoredFrames(ofMeasured count: Int) throws -> Int {
        try `operator`.inputShape(for: [count, problem.channels, info.height, info.width])[0]
    }

    /// The operator taken apart, for a window of so many measured frames.
    func form(frames: Int) throws -> SeparatedForm? {
        let shape = try `operator`.inputShape(for: [frames, problem.channels, info.height, info.width])
        return try `operator`.separated(for: shape)
    }

    /// Whether a learned first estimate can be made of windows of so many frames.
    func suitsEnlargement(frames: Int) throws -> Bool {
        let measured = [frames, problem.channels, info.height, info.width]
        return try LearnedEstimate.fits(
            measured: measured, video: `operator`.inputShape(for: measured), hasHoles: known(measured) != nil)
    }

    /// 0 in holes; nil where every pixel was measured.
    func known(_ shape: [Int]) throws -> Tensor? { try `operator`.known(inMeasurement: shape) }

    /// The noise, from the first window.
    func noise(of first: Tensor) async throws -> NoiseFigure {
        let mask = try await onThread { [self] _ in try known(first.shape) }
        return try await .found(recipe.noise, recorded: record?.noise, in: reader, frames: first, known: mask)
    }
}

/// Pictures of holes.
enum Masks {
    /// Masks of 0 and 1, (H, W), from pictures: known where it is brighter than middle grey.
    static func read(_ files: [(path: String, height: Int, width: Int)]) async throws -> [String: Tensor] {
        var masks: [String: Tensor] = [:]
        for file in files { masks[file.path] = try await read(file.path, height: file.height, width: file.width) }
        return masks
    }

    private static func read(_ path: String, height: Int, width: Int) async throws -> Tensor {
        let reader = try await VideoReader(path)
        guard reader.info.height == height, reader.info.width == width else {
            throw WorkflowError.message(
                "The mask \(path) has \(reader.info.width)x\(reader.info.height) pixels and the measurement \(width)x\(height); "
                    + "it must have the measurement's size.")
        }
        var iterator = reader.frames().makeAsyncIterator()
        guard let frame = try await iterator.next() else {
            throw WorkflowError.message("The mask \(path) holds no picture.")
        }
        return try await onThread { _ in try frame.tensor.mean(along: [0]).isGreater(than: 0.0).to(.float32) }
    }
}
