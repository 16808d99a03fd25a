import TensorKit

/// The mean absolute difference of each frame to the one before it: N - 1 numbers, 0 for a still video.
///
/// It counts a scene's own motion too: compare it with the same video's truth, or take `temporalError`.
/// Cost: two passes over each frame in float64, the memory of three frames in float64.
/// - Parameter video: (N, C, H, W) of any real type, N at least 2. The result has the pixels' unit.
/// - Throws: `MetricError` for a single frame and values that are not finite, `TensorError` from the engine.
public func flicker(_ video: Tensor) throws -> VideoScore {
    try requireVideo(video)
    try requireChange(video)
    var before = try frame(video, 0, on: video.device)
    _ = try finiteMean(before, frame: 0)
    return VideoScore(
        perFrame: try (1..<video.size(0)).map { index in
            let now = try frame(video, index, on: video.device)
            defer { before = now }
            return try finiteMean((now - before).absolute(), frame: index)
        })
}

/// The mean absolute difference between the change of `video` from one frame to the next and that of `truth`: N - 1 numbers.
///
/// 0 for a video that differs from the truth by the same picture in every frame; what flickers, swims or lags counts.
/// Cost: five passes over each frame in float64, the memory of seven frames in float64.
/// - Parameters:
///   - video: (N, C, H, W) of any real type, N at least 2. The result has the pixels' unit.
///   - truth: The same shape; it may be on another device.
/// - Throws: `MetricError` for shapes that differ, a single frame and values that are not finite, `TensorError` from the engine.
public func temporalError(_ video: Tensor, _ truth: Tensor) throws -> VideoScore {
    try requireAlike(video, truth)
    return VideoScore(perFrame: try changes(of: video, truth) { $0.error })
}

/// What flickers where nothing moves, beside the truth's own flicker there. Everything is in the pixels' unit.
public struct StillFlicker: Hashable, Sendable, Codable {
    /// By how much a still pixel in [-1, 1] may change from one frame to the next: 2 steps of 8 bits.
    public static let threshold = 4.0 / 255
    /// Rows and columns of the area around a pixel that must be still with it.
    public static let area = 5
    /// The fraction of pixels below which nothing is said to be still.
    public static let leastFraction = 0.001

    /// The mean absolute difference to the frame before, over the pixels in still areas of all frames.
    public let video: Double
    /// The same of the truth: its noise, at most the threshold.
    public let truth: Double
    /// The fraction of pixels in still areas, in (0, 1]. The numbers rest on these alone.
    public let fraction: Double

    public init(video: Double, truth: Double, fraction: Double) {
        self.video = video
        self.truth = truth
        self.fraction = fraction
    }

    /// Flicker that is not the truth's: 0 for a video as steady as the truth, negative for one that is steadier.
    public var excess: Double { video - truth }
}

/// The flicker of a video against the truth's, where the truth is still: scenes' own motion does not count.
///
/// A pixel counts from one frame to the next where no channel of the truth changes by more than `threshold` in the 5x5 pixels around it:
/// in a moving texture some pixels keep their value by chance.
/// Cost: about nine passes over each frame in float64, the memory of eight frames in float64.
/// - Parameters:
///   - video: (N, C, H, W) of any real type, N at least 2.
///   - truth: The same shape; it may be on another device.
///   - threshold: Of the pixels' unit; the default is made for pixels in [-1, 1].
/// - Throws: `MetricError` for shapes that differ, a single frame, values that are not finite and a truth of which less than a thousandth is still,
///   `TensorError` from the engine.
public func stillFlicker(
    _ video: Tensor, _ truth: Tensor, threshold: Double = StillFlicker.threshold
) throws -> StillFlicker {
    try requireAlike(video, truth)
    try requirePositive(range: threshold)
    let pairs = try changes(of: video, truth) { try StillSums(of: $0, threshold: threshold) }
    guard let flicker = pairs.reduce(into: StillSums(), +=).flicker else {
        throw MetricError.nothingStatic(threshold: threshold)
    }
    return flicker
}

/// Sums over the pixels in still areas, of which `StillFlicker` is the means. Those of a video are the sum of its pairs'.
struct StillSums {
    private var video = 0.0
    private var truth = 0.0
    /// The numbers of pixels in still areas, of values there, and of all pixels.
    private var still = 0.0
    private var values = 0.0
    private var pixels = 0.0

    init() {}

    init(of change: PairedChanges.Change, threshold: Double = StillFlicker.threshold) throws {
        let (channels, height, width) = (change.truth.size(1), change.truth.size(2), change.truth.size(3))
        let moving = try change.truth.absolute().isGreater(than: threshold).to(.float64)
            .sum(along: [1], keepingDimensions: true)
        let margin = StillFlicker.area / 2
        let mask = try moving.padded([margin, margin, margin, margin]).maxPooled(StillFlicker.area, stride: 1)
            .isEqual(to: 0).to(.float64)
        video = try (change.video.absolute() * mask).sum().item()
        truth = try (change.truth.absolute() * mask).sum().item()
        still = try mask.sum().item()
        values = still * Double(channels)
        pixels = Double(height * width)
    }

    static func += (sums: inout StillSums, other: StillSums) {
        sums.video += other.video
        sums.truth += other.truth
        sums.still += other.still
        sums.values += other.values
        sums.pixels += other.pixels
    }

    /// Nil where too little stands still.
    var flicker: StillFlicker? {
        guard pixels > 0, still >= StillFlicker.leastFraction * pixels else { return nil }
        return StillFlicker(video: video / values, truth: truth / values, fraction: still / pixels)
    }
}

/// How a video and its truth change from each frame to the next, fed one by one. It holds the frame before of both.
struct PairedChanges {
    private var before: (video: Tensor, truth: Tensor)?

    struct Change {
        /// The differences to the frame before, (1, C, H, W) in float64.
        let video: Tensor
        let truth: Tensor
        /// The mean absolute difference between the two.
        let error: Double
    }

    /// The change to frame `index` of both videos, (1, C, H, W) in float64; nil for the first.
    /// - Throws: `MetricError.notFinite`.
    mutating func next(_ index: Int, _ video: Tensor, _ truth: Tensor) throws -> Change? {
        defer { before = (video, truth) }
        guard let before else {
            // A later frame is found out by its own difference; for the first one it would be the next that is named.
            for first in [video, truth] { _ = try finiteMean(first, frame: index) }
            return nil
        }
        let (change, expected) = (try video - before.video, try truth - before.truth)
        let error = try finiteMean((change - expected).absolute(), frame: index)
        return Change(video: change, truth: expected, error: error)
    }
}

/// What `measure` finds in each change of two videos of the same shape: one result fewer than there are frames.
private func changes<Result>(
    of video: Tensor, _ truth: Tensor, _ measure: (PairedChanges.Change) throws -> Result
) throws -> [Result] {
    try requireChange(video)
    var changes = PairedChanges()
    return try (0..<video.size(0)).compactMap { index in
        let pair = try [video, truth].map { try frame($0, index, on: video.device) }
        return try changes.next(index, pair[0], pair[1]).map(measure)
    }
}

private func requireChange(_ video: Tensor) throws {
    guard video.size(0) >= 2 else { throw MetricError.tooFewFrames(video.size(0), least: 2) }
}
