import TensorKit

/// What a temporal average sees before the first frame and after the last.
public enum TemporalBoundary: String, Sendable, Hashable, Codable, CaseIterable {
    /// The video's other end (the paper's).
    case circular
    /// The first or last frame again.
    case replicate
    /// Nothing: only whole windows are averaged, which leaves window - 1 frames fewer.
    case valid
    /// What there was: a film goes on beyond its ends. The operator is `valid`'s, and a restoration gives back as many frames as were measured.
    case open

    /// Whether fewer frames come out than go in.
    public var shortens: Bool { self == .valid || self == .open }
}

/// The ends at which a stretch of frames is a part of a longer video: an average over time sees true neighbours there.
public struct OpenEnds: OptionSet, Sendable, Hashable, Codable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// There are frames before the first one.
    public static let before = OpenEnds(rawValue: 1)
    /// There are frames after the last one.
    public static let after = OpenEnds(rawValue: 2)
    public static let both: OpenEnds = [.before, .after]
}

/// The uniform average of `window` successive frames: Y[n] = mean of X[n - window/2 ... n + (window - 1)/2].
///
/// A video shorter than the window is wrapped (or its ends are repeated) as often as needed. One product with an (N, N) matrix: faster
/// than adding shifted videos, which is bound by memory. Cost at 25x3x768x1280 float32: about 0.1 s on two AVX2 cores.
public struct TemporalAverage: LinearOperator {
    public let window: Int
    public let boundary: TemporalBoundary
    /// Ends beyond which X has the frames that whole windows take: window / 2 before, (window - 1) / 2 after.
    public let openEnds: OpenEnds
    private let map: AxisMap

    /// - Parameter ends: ends that are open in spite of the boundary `replicate`; `valid` and `open` have no others, `circular` has none.
    /// - Throws: `ProblemError.invalidParameter` for a window outside 1...9999, and for open ends of a circle.
    public init(
        window: Int = 7, boundary: TemporalBoundary = .circular, openEnds ends: OpenEnds = []
    ) throws(ProblemError) {
        guard (1...9999).contains(window) else {
            throw .invalidParameter("A temporal average takes 1 to 9999 frames, not \(window).")
        }
        guard boundary != .circular || ends.isEmpty else {
            throw .invalidParameter("A circular average over time has no ends; take the boundary replicate or open.")
        }
        self.window = window
        self.boundary = boundary
        let openEnds = boundary.shortens ? .both : ends
        self.openEnds = openEnds
        let (before, after) = Self.extra(window, openEnds)
        map = AxisMap { length in
            let rows = max(length - before - after, 0)
            var matrix = SparseMatrix(rows: rows, columns: length)
            for row in 0..<rows {
                for offset in 0..<window {
                    let place = row + before + offset - window / 2
                    let column =
                        boundary == .circular ? (place % length + length) % length : min(max(place, 0), length - 1)
                    matrix.rows[row][column, default: 0] += 1 / Double(window)
                }
            }
            return matrix
        }
    }

    /// Frames of X before the first frame of Y, and after the last.
    private static func extra(_ window: Int, _ ends: OpenEnds) -> (before: Int, after: Int) {
        let before = ends.contains(.before) ? window / 2 : 0
        return (before, ends.contains(.after) ? (window - 1) / 2 : 0)
    }

    private var lost: Int {
        let (before, after) = Self.extra(window, openEnds)
        return before + after
    }

    public var name: String { "average of \(window) frames, \(boundary.rawValue)" }

    /// - Throws: `ProblemError.tooFewFrames` for frames of which no window is whole.
    public func outputShape(for input: [Int]) throws(ProblemError) -> [Int] {
        try requireVideo(input)
        guard input[0] > lost else { throw .tooFewFrames(input[0], window: window) }
        return [input[0] - lost] + input[1...]
    }
    public func inputShape(for output: [Int]) throws(ProblemError) -> [Int] {
        try requireVideo(output)
        return [output[0] + lost] + output[1...]
    }

    public func apply(_ video: Tensor) throws -> Tensor {
        _ = try requireInput(video)
        return window == 1 ? video : try map.product(video, along: 0, length: video.size(0), transposed: false)
    }
    public func adjoint(_ measurement: Tensor) throws -> Tensor {
        let shape = try requireOutput(measurement)
        return window == 1 ? measurement : try map.product(measurement, along: 0, length: shape[0], transposed: true)
    }

    public func separated(for shape: [Int]) throws -> SeparatedForm? {
        try SeparatedForm(frames: window == 1 ? nil : map.factor(length: shape[0]))
    }
}

/// Every frame is the mean of several: what a long exposure or a blending of frames leaves.
public struct Average: Stage {
    /// How many, 1 to 9999.
    public var frames: Int
    public var boundary: TemporalBoundary

    public init(frames: Int, boundary: TemporalBoundary = .circular) {
        self.frames = frames
        self.boundary = boundary
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            frames: try values.decode(Int.self, forKey: .frames),
            boundary: try values.decodeIfPresent(TemporalBoundary.self, forKey: .boundary) ?? .circular)
    }

    public static let kind = "average"
    public var words: String { "average over \(frames) frames" }

    public func makeOperator(for input: StageInput) throws -> any LinearOperator {
        try TemporalAverage(
            window: frames, boundary: boundary, openEnds: boundary == .replicate ? input.openEnds : [])
    }
    public var reach: Int { frames / 2 }
    public func inputShape(for output: [Int]) throws(ProblemError) -> [Int] {
        try TemporalAverage(window: frames, boundary: boundary).inputShape(for: output)
    }
}
