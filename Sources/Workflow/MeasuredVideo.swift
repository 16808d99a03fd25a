import Foundation
import InverseProblems
import Synchronization
import TensorKit
import VideoIO
import VisionXL

/// A measured file that is about to be restored: what is known of it before its first frame is decoded, and the operator, made once.
public struct MeasuredVideo: Sendable {
    public private(set) var reader: VideoReader
    /// What `degrade` wrote beside it.
    public let record: MeasurementRecord?
    public let problem: Problem
    /// Frames that are kept of what is restored together, at most.
    public let window: Int
    /// What the record says of it, in measured frames.
    let recordedWindow: Int?
    /// Frames beside them that are restored with them, with the reason.
    let context: Policy.Choice<Int>
    /// Of the restored frames.
    public let height: Int
    public let width: Int
    /// A of a whole video; it keeps its decompositions from window to window. Of a mask that differs from frame to frame it has the first
    /// picture, for plans.
    let `operator`: any LinearOperator
    private let parts: OperatorsOfParts
    let masks: MaskFiles
    /// Frames of A's X beyond those of its Y.
    let surplus: Int
    /// What to tell where nobody says what went wrong; else nil.
    let saysNothing: String?
    private let recipe: Recipe

    public var info: VideoInfo { reader.info }

    /// Opens the input of a recipe.
    /// - Throws: `WorkflowError` for a record that is none and for a file that breaks off, `VideoError`, `ProblemError` for frames that do not fit.
    public init(_ recipe: Recipe) async throws {
        self.recipe = recipe
        // Counted, for the time that is left.
        var reader = try await VideoReader(recipe.input, countFrames: true)
        reader.acceptsIncomplete = recipe.acceptsIncomplete
        // Frames before the break are whole.
        let isBefore = recipe.frames?.upper.map { $0 < reader.info.frameCount ?? 0 } ?? false
        if let breakOff = reader.breakOff, !recipe.acceptsIncomplete, !isBefore { throw recipe.advising(breakOff) }
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
        if recipe.crop != nil, problem.stages.contains(where: { ($0 as? Holes)?.ratio != nil }) {
            throw WorkflowError.message(
                "Holes at random are known for the whole frame alone; leave --crop out, or give a mask (--mask).")
        }
        self.problem = problem
        let info = reader.info
        // Of a video that is long enough for an average over time without a border.
        let full = try problem.fullSize(ofMeasurement: [1, problem.channels, info.height, info.width])
        (height, width, surplus) = (full[2], full[3], full[0] - 1)
        // Twice 16K: more is a slip, and no encoder takes it.
        guard max(height, width) <= 1 << 16, height * width <= 1 << 28 else {
            throw WorkflowError.message(
                "\(recipe.input) has frames of \(info.width)x\(info.height), and they would become \(width)x\(height), which is too large; "
                    + "--scale is the factor by which they were shrunk.")
        }
        masks = try await MaskFiles(
            problem, height: full[2], width: full[3], frames: reader.info.frameCount, cropping: reader)
        let files = try await masks.first()
        `operator` = try await onThread { _ in try problem.operator(height: full[2], width: full[3], files: files) }
        parts = OperatorsOfParts(problem: problem, height: full[2], width: full[3], files: files, whole: `operator`)
        _ = try `operator`.outputShape(for: full)
        // A record counts frames before the degradation, which an average without a border leaves fewer of.
        let (A, recorded) = (`operator`, record?.window)
        recordedWindow = try recorded.map { try A.outputShape(for: [$0] + full[1...])[0] }
        window = Policy.window(recipe.window, recorded: recordedWindow).value
        let alone = Self.standsAlone(recipe, problem, recordedWindow: recordedWindow)
        context = Policy.context(recipe.context, reach: problem.reach, without: alone)
    }

    /// The part of the video that is restored; nil for all of it.
    /// - Throws: `WorkflowError`, `VideoError` for a range that lies outside the video.
    func range() throws -> Range<Int>? { try recipe.frames?.within(reader) }

    /// Frames that there are to restore, as far as the file says.
    func frameCount() throws -> Int? { try range()?.count ?? info.frameCount }

    /// Why windows have neither context nor a start in common; nil where they may.
    private static func standsAlone(_ recipe: Recipe, _ problem: Problem, recordedWindow: Int?) -> String? {
        if let reason = windowsAreGiven(recipe, problem, recordedWindow: recordedWindow) { return reason }
        // What is repeated for all frames of a window is as old as its first one.
        let start = recipe.options.start
        return start == .firstFrameInversion || start == .sharedNoise
            ? "Each window starts from its own first frame, as in the paper." : nil
    }

    /// Why windows are as they are, whatever they show; nil where scenes may decide.
    private static func windowsAreGiven(_ recipe: Recipe, _ problem: Problem, recordedWindow: Int?) -> String? {
        if recordedWindow != nil, recipe.window == nil {
            return "The measurement's .json says which windows there are."
        }
        switch problem.boundary {
        case .circular: return "Each window is a circle of its own."
        case .valid: return "Each window was averaged on its own."
        default: return nil
        }
    }

    /// Whether its end is the video's own.
    var isOpen: Bool { recipe.frames?.isOpen ?? true }

    /// With as many frames to restore as were decoded, whatever the file says.
    mutating func count(_ frames: Int) { if isOpen { reader = reader.counting((recipe.frames?.lower ?? 0) + frames) } }

    /// How it is told where scenes begin, with the reason.
    var scenes: Policy.Choice<SceneChoice> {
        Policy.scenes(recipe.scenes, without: Self.windowsAreGiven(recipe, problem, recordedWindow: recordedWindow))
    }

    /// Whether scenes are to be looked for.
    var looksForScenes: Bool { scenes.value == .auto }

    /// The first frames of scenes that a file lists, counted from the first frame that is restored.
    func listedCuts() throws -> [Int] {
        guard case .file(let path)? = recipe.scenes else { return [] }
        let first = try range()?.lowerBound ?? 0
        return try SceneList.read(path).map { $0 - first }
    }

    /// The windows.
    /// - Parameters:
    ///   - frameCount: that there are to restore.
    ///   - cuts: the first frames of scenes.
    func plan(frameCount: Int, cuts: [Int]) -> WindowPlan {
        let boundary = problem.boundary
        var rules = WindowPlan.Rules(
            window: window, context: context.value, fade: Policy.fade(context: context.value).value)
        (rules.offset, rules.fileFrames) = (
            (try? range())??.lowerBound ?? 0, recipe.frames == nil ? nil : info.frameCount
        )
        rules.sharesStart = Self.standsAlone(recipe, problem, recordedWindow: recordedWindow) == nil
        rules.isExact = recordedWindow != nil && recipe.window == nil || boundary == .circular || boundary == .valid
        // Each of the record's windows has ends of its own; other windows are parts of them.
        if problem.reach > 0 { rules.stretch = recordedWindow }
        if boundary == .valid { rules.surplus = surplus }
        return WindowPlan(frameCount: frameCount, cuts: cuts, rules: rules)
    }

    /// A of a window's batch.
    /// - Throws: also `WorkflowError` where a film of masks ends too early.
    func `operator`(of window: WindowPlan.Window) async throws -> any LinearOperator {
        guard masks.isFilm else { return try await onThread { [self] _ in try likeOperator(of: window) } }
        let first = try range()?.lowerBound ?? 0
        let files = try await masks.masks(first + window.batch.lowerBound..<first + window.batch.upperBound)
        let ends = problem.boundary == .replicate ? window.openEnds : []
        return try await onThread { [self] _ in
            try problem.operator(height: height, width: width, files: files, openEnds: ends)
        }
    }

    /// The same with the first picture of a film of masks: of the same shapes.
    private func likeOperator(of window: WindowPlan.Window) throws -> any LinearOperator {
        try problem.boundary == .replicate ? parts.part(window.openEnds) : `operator`
    }

    /// Frames that are restored of a window's batch.
    func restoredCount(of window: WindowPlan.Window) -> Int {
        let ends = problem.boundary == .replicate ? window.openEnds : []
        return window.batch.count + (problem.boundary == .replicate ? problem.beyond(ends) : surplus)
    }

    /// Frames that a batch may have beyond those that were measured.
    var mostBeyond: Int { problem.boundary == .replicate ? problem.beyond(.both) : surplus }

    /// The place of the first measured frame among those that are restored of a window's batch.
    func firstMeasured(of window: WindowPlan.Window) -> Int {
        switch problem.boundary {
        case .valid: surplus / 2
        case .open: problem.reach
        case .replicate: window.openEnds.contains(.before) ? problem.reach : 0
        default: 0
        }
    }

    /// Which of a batch's restored frames are kept, those that are faded with other windows' included.
    func kept(of window: WindowPlan.Window) throws -> Range<Int> {
        if problem.boundary == .valid {
            let shape = [window.batch.count, problem.channels, info.height, info.width]
            return 0..<(try likeOperator(of: window).inputShape(for: shape)[0])
        }
        // An open end has frames beyond those that were measured.
        let first = firstMeasured(of: window) + window.kept.lowerBound - window.fadeBefore - window.batch.lowerBound
        return first..<first + window.fadeBefore + window.kept.count + window.fadeAfter
    }

    /// Y of a window's frames: decoded and converted once.
    func measured(_ frames: [VideoFrame]) throws -> Tensor { try problem.reduced(Tensor(frames: frames)) }

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

    /// What a lossy file's coding rounds to, where anybody wants to know.
    func quantizerStep(firstFrames: Int) async throws -> Double? {
        try await NoiseFigure.quantizerStep(recipe.noise, in: reader, firstFrames: firstFrames)
    }

    /// The noise of a scene, from its first window's batch.
    func noise(of first: Tensor, measuredBy A: any LinearOperator, quantizerStep: Double?) throws -> NoiseFigure {
        try .found(
            recipe.noise, of: problem, recorded: record?.noise, in: reader, quantizerStep: quantizerStep, frames: first,
            known: A.known(inMeasurement: first.shape))
    }
}

/// A of parts of a video, each kind made once.
private final class OperatorsOfParts: Sendable {
    private let problem: Problem
    private let height: Int
    private let width: Int
    private let files: [String: Tensor]
    private let made: Mutex<[OpenEnds: any LinearOperator]>

    init(problem: Problem, height: Int, width: Int, files: [String: Tensor], whole: any LinearOperator) {
        (self.problem, self.height, self.width, self.files) = (problem, height, width, files)
        made = Mutex([[]: whole])
    }

    func part(_ ends: OpenEnds) throws -> any LinearOperator {
        if let known = made.withLock({ $0[ends] }) { return known }
        let new = try problem.operator(height: height, width: width, files: files, openEnds: ends)
        made.withLock { $0[ends] = new }
        return new
    }
}
