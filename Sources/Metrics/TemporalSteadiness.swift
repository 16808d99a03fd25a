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
