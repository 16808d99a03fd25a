import TensorKit
import VideoIO

/// Frames of one's own that a restoration begins from, `--first-estimate-from`: of the result's size, read frame by frame with the measurement.
struct OwnEstimate {
    let path: String
    private var frames: FrameWindows

    /// - Parameters:
    ///   - range: the recipe's; the same frames of the estimate are taken.
    ///   - plan: the windows of measured frames.
    /// - Throws: `WorkflowError` for another size or number of frames than the result's, `VideoError`.
    init(_ path: String, of video: MeasuredVideo, frames range: FrameRange?, _ plan: WindowPlan) async throws {
        let reader = try await VideoReader(path, countFrames: true)
        let info = reader.info
        guard info.width == video.width, info.height == video.height else {
            throw WorkflowError.message(
                "The first estimate \(path) has \(info.width)x\(info.height) pixels and the result \(video.width)x\(video.height); it must "
                    + "have the result's size.")
        }
        // Only where nobody knows how many there are is it found out on the way.
        if let count = try Self.count(plan, of: video), let own = info.frameCount {
            let first = range?.lower ?? 0
            guard range == nil ? own == count : own >= first + count else {
                throw WorkflowError.message(
                    "The first estimate \(path) has \(own) frames and the result \(count)\(range == nil ? "" : " from frame \(first) on"); "
                        + "it must have a frame for each of them.")
            }
        }
        let open = range.flatMap { FrameRange(from: $0.lower) }
        (self.path, frames) = (path, try FrameWindows(reader, frames: open, size: 1))
    }

    /// That of a recipe; nil where it brings none.
    init?(_ recipe: Recipe, _ video: MeasuredVideo, _ plan: WindowPlan) async throws {
        guard let path = recipe.firstEstimateFrom else { return nil }
        self = try await OwnEstimate(path, of: video, frames: recipe.frames, plan)
    }

    /// Of the result: an average without a border leaves fewer frames than there were, in each window.
    private static func count(_ plan: WindowPlan, of video: MeasuredVideo) throws -> Int? {
        try plan.count.map { count in
            try (0..<count).reduce(0) { try $0 + video.restoredFrames(ofMeasured: plan[$1].count) }
        }
    }

    /// The next window's, (N, 3, H, W).
    /// - Throws: `WorkflowError` where there are fewer.
    mutating func next(_ count: Int) async throws -> Tensor {
        let decoded = try await frames.next(count) ?? []
        guard decoded.count == count else {
            throw WorkflowError.message(
                "The first estimate \(path) ends before the result does; it must have a frame for each of the result's.")
        }
        return try await onThread { _ in try Tensor(frames: decoded) }
    }
}
