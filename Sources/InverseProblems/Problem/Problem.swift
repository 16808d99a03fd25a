import TensorKit

/// What went wrong with a video: stages in the order in which it happened, in a few numbers that know no frame size. What a recipe, a
/// measurement's .json and a command line hold.
///
///     let problem = try Problem(task: "sr4+")
///     let A = try problem.operator(height: 768, width: 1280)
///     let measured = try A.apply(video)
///
/// As JSON: `{"stages": [{"average": {"frames": 7}}, {"shrink": {"factor": 4}}]}`.
public struct Problem: Sendable {
    /// In the order in which they happened; none for a video that nothing but noise befell.
    public var stages: [any Stage]

    public init(_ stages: any Stage...) { self.stages = stages }

    public init(stages: [any Stage]) { self.stages = stages }

    /// Every kind of stage, in the order that they take where nothing says another.
    public static let kinds: [any Stage.Type] = [Average.self, Blur.self, Shrink.self, Grey.self, Holes.self]

    /// The paper's tasks by name: `sr4` (average pooling by 4), `deblur` (61x61 Gaussian, sigma 3), `inpaint` (half of the pixels removed),
    /// `average` (over 7 frames, circular), and `sr4+`, `deblur+`, `inpaint+`, which average over time first.
    /// - Throws: `ProblemError.unknownTask`, which lists the names.
    public init(task: String) throws(ProblemError) {
        guard Self.tasks.contains(task) else { throw .unknownTask(task, known: Self.tasks) }
        stages = task == "average" || task.hasSuffix("+") ? [Average(frames: 7)] : []
        switch task.prefix(while: { $0 != "+" }) {
        case "sr4": stages.append(Shrink(factor: 4))
        case "deblur": stages.append(Blur(sigma: 3))
        case "inpaint": stages.append(Holes(ratio: 0.5))
        default: break
        }
    }

    /// The names that `init(task:)` knows.
    public static let tasks = ["sr4", "deblur", "inpaint", "average", "sr4+", "deblur+", "inpaint+"]

    // MARK: Stages by their kind

    /// The first stage of a kind.
    public func stage<S: Stage>(_ kind: S.Type = S.self) -> S? { stages.lazy.compactMap { $0 as? S }.first }

    /// Puts a stage in the place of the first of its kind, or where kinds usually stand; nil takes that kind out.
    public mutating func set<S: Stage>(_ stage: S?) {
        let place = stages.firstIndex { $0 is S }
        switch (stage, place) {
        case (let stage?, let place?): stages[place] = stage
        case (let stage?, nil):
            let rank = Self.rank(S.self)
            stages.insert(stage, at: stages.firstIndex { Self.rank(type(of: $0)) > rank } ?? stages.count)
        case (nil, _): stages.removeAll { $0 is S }
        }
    }

    private static func rank(_ kind: any Stage.Type) -> Int { kinds.firstIndex { $0 == kind } ?? kinds.count }

    // MARK: What they come to

    /// The operator for full-size frames.
    /// - Parameters:
    ///   - height: of X, likewise `width`.
    ///   - files: what is in the stages' `file`s, by path: a mask is (H, W) of 0 and 1 of the size that frames have there,
    ///     or (N, 1, H, W) for N measured frames.
    ///   - openEnds: the ends at which the frames are a part of a longer video.
    /// - Throws: `ProblemError` for values out of range, frames that do not fit, or a file that was not handed over.
    public func `operator`(
        height: Int, width: Int, files: [String: Tensor] = [:], openEnds: OpenEnds = []
    ) throws -> any LinearOperator {
        // So many frames that no average over time lacks any; only shapes are computed. A mask for each frame says how
        // many were measured.
        let measured = files.values.first { $0.rank == 4 }?.size(0)
        var shape = [1 << 20, 3, height, width]
        if let measured { shape[0] = try fullSize(ofMeasurement: [measured, channels, 1, 1])[0] + beyond(openEnds) }
        var parts: [any LinearOperator] = []
        for stage in stages {
            let part = try stage.makeOperator(
                for: StageInput(height: shape[2], width: shape[3], files: files, openEnds: openEnds))
            shape = try part.outputShape(for: shape)
            parts.append(part)
        }
        guard let first = parts.first else { return Identity() }
        return parts.dropFirst().reduce(first) { Composition(first: $0, second: $1) }
    }

    /// The shape of X from the shape of Y, both (N, C, H, W).
    public func fullSize(ofMeasurement shape: [Int]) throws(ProblemError) -> [Int] {
        try requireVideo(shape)
        var full = shape
        for stage in stages.reversed() { full = try stage.inputShape(for: full) }
        return full
    }

    /// Frames on either side that a measured frame may depend on.
    public var reach: Int { stages.map(\.reach).reduce(0, +) }

    /// Frames of X beyond those of Y where an average that repeats its ends has open ones instead.
    public func beyond(_ ends: OpenEnds) -> Int {
        guard let average = stage(Average.self), average.boundary == .replicate else { return 0 }
        return (ends.contains(.before) ? average.frames / 2 : 0)
            + (ends.contains(.after) ? (average.frames - 1) / 2 : 0)
    }

    /// What an average over time sees beyond the ends of the video; nil where nothing mixes frames.
    public var boundary: TemporalBoundary? { stage(Average.self)?.boundary }

    /// Channels of Y.
    public var channels: Int { stages.lazy.compactMap(\.channels).last ?? 3 }

    /// Files that have to be read before there can be an operator.
    public var files: [String] { stages.compactMap(\.file) }

    /// Each of them with the size that frames have where its stage stands.
    /// - Parameters:
    ///   - height: of X, likewise `width`.
    public func fileSizes(height: Int, width: Int) throws -> [(path: String, height: Int, width: Int)] {
        guard !files.isEmpty else { return [] }
        var shape = [1 << 20, 3, height, width]
        var sizes: [(path: String, height: Int, width: Int)] = []
        for stage in stages {
            if let file = stage.file {
                // A mask: it leaves the size as it is.
                sizes.append((file, shape[2], shape[3]))
            } else {
                shape = try stage.makeOperator(for: StageInput(height: shape[2], width: shape[3])).outputShape(
                    for: shape)
            }
        }
        return sizes
    }

    /// Y from frames (N, 3, h, w) as a file has them.
    public func reduced(_ frames: Tensor) throws -> Tensor { try stages.reduce(frames) { try $1.reduced($0) } }

    /// Frames (N, 3, h, w) as a file has them, from Y.
    public func stored(_ measurement: Tensor) throws -> Tensor {
        try stages.reversed().reduce(measurement) { try $1.stored($0) }
    }
}

extension Problem: Hashable {
    public static func == (a: Problem, b: Problem) -> Bool { a.stages.map(hashable) == b.stages.map(hashable) }
    public func hash(into hasher: inout Hasher) { for stage in stages { stage.hash(into: &hasher) } }
    private static func hashable(_ stage: any Stage) -> AnyHashable { AnyHashable(stage) }
}

extension Problem: CustomStringConvertible {
    /// "average over 7 frames, then shrunk by 4".
    public var description: String { stages.isEmpty ? "noise alone" : stages.map(\.words).joined(separator: ", then ") }
}
