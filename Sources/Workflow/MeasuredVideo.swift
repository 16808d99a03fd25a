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
    /// A; it keeps its decompositions from window to window. Of a mask that differs from frame to frame it has the first
    /// picture, for plans.
    let `operator`: any LinearOperator
    let masks: MaskFiles
    /// What to tell where nobody says what went wrong; else nil.
    let saysNothing: String?
    private let recipe: Recipe

    public var info: VideoInfo { reader.info }

    /// Opens the input of a recipe.
    /// - Throws: `WorkflowError` for a record that is none, `VideoError`, `ProblemError` for frames that do not fit.
    public init(_ recipe: Recipe) async throws {
        self.recipe = recipe
        // Counted, for the time that is left.
        var reader = try await VideoReader(recipe.input, countFrames: true)
        reader.acceptsIncomplete = recipe.acceptsIncomplete
        // Frames before the break are whole.
        let isBefore = recipe.frames?.upper.map { $0 < reader.info.frameCount ?? 0 } ?? false
        if let breakOff = reader.breakOff, !recipe.acceptsIncomplete, !isBefore { throw breakOff }
        if let crop = recipe.crop { reader = try reader.cropped(to: crop) }
        self.reader = reader
        // What is said says everything; only without it must the record be sound.
        record =
            recipe.problem == nil
            ? try MeasurementRecord.read(beside: recipe.input) : try? MeasurementRecord.read(beside: recipe.input)
        let problem = recipe.problem ?? record?.problem ?? Problem()
        saysNothing =
            recipe.problem ?? record?.problem == nil
            ? "Nothing says what went wrong with \(recipe.input), so noise alone is removed: else say it with --task "
                + "(\(Problem.tasks.joined(separator: ", "))) or the options for its parts (there is no "
                + "\(MeasurementRecord.path(beside: recipe.input)) that says it)." : nil
        self.problem = problem
        let info = reader.info
        // Of a video that is long enough for an average over time without a border.
        let full = try problem.fullSize(ofMeasurement: [1, problem.channels, info.height, info.width])
        (height, width) = (full[2], full[3])
        masks = try await MaskFiles(problem, height: full[2], width: full[3], frames: reader.info.frameCount, cropping: reader)
        let files = try await masks.first()
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

    /// A for measured frames of a range, counted in the file.
    func `operator`(for frames: Range<Int>) async throws -> any LinearOperator {
        guard masks.isFilm else { return `operator` }
        let files = try await masks.masks(frames)
        return try await onThread { [self] _ in try problem.operator(height: height, width: width, files: files) }
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
    func noise(of first: Tensor, measuredBy A: any LinearOperator) async throws -> NoiseFigure {
        let mask = try await onThread { _ in try A.known(inMeasurement: first.shape) }
        return try await .found(recipe.noise, recorded: record?.noise, in: reader, frames: first, known: mask)
    }
}
