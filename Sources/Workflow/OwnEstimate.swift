import InverseProblems
import TensorKit
import VideoIO

/// A film of one's own that a restoration begins from, `--first-estimate-from`: of the result's size, read window by window with the input.
///
/// Its frame n belongs to the input's frame n, whatever part of that is restored. Averages without a border leave fewer frames than the result
/// has: frame n belongs to the result's frame n then, and only a whole film can be restored. A single frame holds for all.
struct OwnEstimate: Sendable {
    let path: String
    private let reader: VideoReader
    private let frameCount: Int
    /// Whether a part of the input's frames is restored.
    private let isOfPart: Bool

    /// Opens a recipe's; nil where it brings none.
    ///
    /// Cost: the file is read through once. It is decoded where only that tells how many frames there are (VP8).
    /// - Throws: `WorkflowError` for another size than the result's and for a file that breaks off, `VideoError`.
    init?(_ recipe: Recipe, _ video: MeasuredVideo) async throws {
        guard let path = recipe.firstEstimateFrom else { return nil }
        let own = try await VideoReader(path, countFrames: true)
        if own.breakOff != nil {
            throw WorkflowError.message(
                "The first estimate \(path) breaks off before its last frame; get a complete copy, or make it again.")
        }
        reader = try Self.part(of: own, recipe.crop, like: video)
        (self.path, isOfPart) = (path, recipe.frames != nil)
        let info = reader.info
        guard info.width == video.width, info.height == video.height else {
            throw WorkflowError.message(
                "The first estimate \(path) has \(info.width)x\(info.height) pixels and the result \(video.width)x\(video.height); "
                    + "bring it to the result's size.")
        }
        if let said = info.frameCount, reader.countIsCertain {
            frameCount = said
        } else {
            frameCount = try await reader.scanned().frameCount
        }
    }

    /// Of a film of whole frames, where a part of each is restored, that part.
    private static func part(of own: VideoReader, _ crop: Crop?, like video: MeasuredVideo) throws -> VideoReader {
        guard let whole = video.reader.whole, let crop else { return own }
        let (down, across) = (video.height / video.info.height, video.width / video.info.width)
        guard own.info.width == across * whole.width, own.info.height == down * whole.height,
            let part = Crop(width: video.width, height: video.height, x: across * crop.x, y: down * crop.y)
        else { return own }
        return try own.cropped(to: part)
    }

    /// Refuses a film that has not a frame for each of the result's.
    /// - Throws: `WorkflowError`.
    func check(_ plan: WindowPlan) throws {
        guard frameCount != 1 else { return }
        guard plan.rules.surplus == 0 || !isOfPart else {
            throw WorkflowError.message(
                "With an average without a border nobody knows which frames of the first estimate \(path) belong to a part of the input; leave "
                    + "out --frames, or give one picture for all.")
        }
        let needed = plan.rules.offset + plan.resultCount
        guard isOfPart ? frameCount < needed : frameCount != needed else { return }
        throw WorkflowError.message(
            isOfPart
                ? "The first estimate \(path) has \(frameCount) frames, and the part that is restored ends with number \(needed); its frames are "
                    + "counted as the whole input's, whatever --frames says: give all of them, or one picture for all."
                : "The first estimate \(path) has \(frameCount) frames and the result \(needed); give one for each, or one picture for all."
        )
    }

    /// Those of some windows, in order.
    func frames(of windows: [Int], _ video: MeasuredVideo, _ plan: WindowPlan) -> Frames {
        let all = plan.windows.indices.map { video.places(of: $0, in: plan) }
        return Frames(reader, windows.map { all[$0] }, count: frameCount, of: all)
    }

    /// Frames of windows, one after the other. Each is decoded once.
    struct Frames: Sendable {
        private let places: [Range<Int>]
        private let last: Int
        private let batches: FrameBatches
        private var index = 0

        fileprivate init(_ reader: VideoReader, _ places: [Range<Int>], count: Int, of all: [Range<Int>]) {
            (self.places, last) = (places, max(count - 1, 0))
            let last = last
            func there(_ range: Range<Int>) -> Range<Int> {
                let first = min(max(range.lowerBound, 0), last)
                return first..<max(first, min(range.upperBound - 1, last)) + 1
            }
            let ranges = all.map(there)
            let whole = ranges.first.flatMap { first in ranges.last.map { first.lowerBound..<$0.upperBound } }
            batches = FrameBatches(reader, places.map(there), of: whole)
        }

        /// What was wrong with them; nothing before the last ones were taken.
        var damage: Damage { batches.damage }

        /// The next window's, (N, 3, H, W), on a device. Beyond the film's ends its first or last frame is repeated.
        /// - Throws: `VideoError` where it ends before that.
        mutating func next(to device: Device) async throws -> Tensor? {
            guard let batch = try await batches.next() else { return nil }
            let wanted = places[index].map {
                batch.frames[min(max($0, batch.range.lowerBound), batch.range.upperBound - 1) - batch.range.lowerBound]
            }
            index += 1
            return try await onThread(of: device) { _ in try Tensor(frames: wanted).to(device) }
        }
    }
}

extension MeasuredVideo {
    /// The frames that are restored of a window's batch, counted as the whole input's result. At open ends some lie beyond what was measured, and
    /// beyond the video's ends.
    fileprivate func places(of index: Int, in plan: WindowPlan) -> Range<Int> {
        let window = plan.windows[index]
        // An average without a border has its additional frames in the result.
        let before = problem.boundary == .valid ? 0 : firstMeasured(of: window)
        let first = plan.rules.offset + plan.rules.surplus * index + window.batch.lowerBound - before
        return first..<first + restoredCount(of: window)
    }
}
