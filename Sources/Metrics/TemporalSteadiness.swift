import TensorKit

/// The mean absolute difference of each frame to the one before it: N - 1 numbers, 0 for a still video.
///
/// It counts a scene's own motion too: compare it with the same video's truth, or take `temporalError`.
/// Cost: two passes over each frame in float64, the memory of three frames in float64.
/// - Parameter video: (N, C, H, W) of any real type, N at least 2. The result has the pixels' unit.
/// - Throws: `MetricError` for a single frame and values that are not finite, `TensorError` from the engine.
public func flicker(_ video: Tensor) throws -> VideoScore {
    try requireVideo(video)
    return try changes(of: [video]) { $0[0] }
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
    return try changes(of: [video, truth]) { try $0[0] - $0[1] }
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
public func stillFlicker(_ video: Tensor, _ truth: Tensor, threshold: Double = StillFlicker.threshold) throws -> StillFlicker {
    try requireAlike(video, truth)
    try requirePositive(range: threshold)
    var sums = (video: 0.0, truth: 0.0, still: 0.0)
    let pairs = try changes(of: [video, truth]) { change in
        let moving = try change[1].absolute().isGreater(than: threshold).to(.float64).sum(along: [1], keepingDimensions: true)
        let margin = StillFlicker.area / 2
        let still = try moving.padded([margin, margin, margin, margin]).maxPooled(StillFlicker.area, stride: 1).isEqual(to: 0).to(.float64)
        sums.video += try (change[0].absolute() * still).sum().item()
        sums.truth += try (change[1].absolute() * still).sum().item()
        sums.still += try still.sum().item()
        // What is looked at for NaN and infinity.
        return try change[0] - change[1]
    }
    let pixels = Double(pairs.perFrame.count * video.size(2) * video.size(3))
    guard sums.still >= StillFlicker.leastFraction * pixels else { throw MetricError.nothingStatic(threshold: threshold) }
    let values = sums.still * Double(video.size(1))
    return StillFlicker(video: sums.video / values, truth: sums.truth / values, fraction: sums.still / pixels)
}

/// For each frame but the first, the mean absolute value of what `combine` makes of the videos' differences to the frame before.
private func changes(of videos: [Tensor], _ combine: ([Tensor]) throws -> Tensor) throws -> VideoScore {
    let count = videos[0].size(0)
    let device = videos[0].device
    guard count >= 2 else { throw MetricError.tooFewFrames(count, least: 2) }
    var before = try videos.map { try frame($0, 0, on: device) }
    // A later frame is found out by its own difference; for the first one it would be the next that is named.
    for first in before { _ = try finiteMean(first, frame: 0) }
    return VideoScore(
        perFrame: try (1..<count).map { index in
            let now = try videos.map { try frame($0, index, on: device) }
            let differences = try zip(now, before).map { try $0 - $1 }
            before = now
            return try finiteMean(combine(differences).absolute(), frame: index)
        })
}
