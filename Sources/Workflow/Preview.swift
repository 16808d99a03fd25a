import Foundation
import InverseProblems
import TensorKit
import VideoIO
import VisionXL

/// A look at a few frames under several settings, before hours are spent on all of them.
public struct PreviewRequest: Sendable {
    /// What is compared: a name for each, and what is asked. All have one input; their outputs do not matter.
    public var tries: [(label: String, recipe: Recipe)]
    /// Seconds from the beginning; the middle when nil.
    public var at: Double?
    /// Of so many seconds the first, the middle and the last frame; of one moment one frame when nil.
    public var seconds: Double?

    public init(tries: [(label: String, recipe: Recipe)], at: Double? = nil, seconds: Double? = nil) {
        (self.tries, self.at, self.seconds) = (tries, at, seconds)
    }

    /// The frames that are looked at.
    /// - Throws: `WorkflowError` for a moment behind the end.
    func frames(of video: VideoInfo, times: FrameTimes?) throws -> [Int] {
        guard let count = video.frameCount, count > 0 else {
            throw WorkflowError.message("Nobody knows how many frames there are, so that none can be chosen.")
        }
        func frame(_ seconds: Double) -> Int {
            if let times { return (0..<count).last { times.seconds(of: $0) <= seconds + 1e-6 } ?? 0 }
            return Int(min((seconds * video.frameRate.perSecond + 1e-6).rounded(.down), Double(count)))
        }
        let length = times.map { $0.seconds(of: count - 1) + 1e-6 } ?? Double(count) / video.frameRate.perSecond
        let first = at.map(frame) ?? seconds.map { frame(max(0, (length - $0) / 2)) } ?? count / 2
        guard first >= 0, first < count, at ?? 0 >= 0 else {
            throw WorkflowError.message(
                String(format: "--at %g lies outside the video, which lasts %.2f s.", at ?? 0, length))
        }
        guard let seconds, seconds > 0 else { return [first] }
        let start = times.map { $0.seconds(of: first) } ?? Double(first) / video.frameRate.perSecond
        let last = min(count - 1, max(first, frame(start + seconds) - 1))
        var chosen: [Int] = []
        for frame in [first, (first + last) / 2, last] where !chosen.contains(frame) { chosen.append(frame) }
        return chosen
    }
}

/// What a preview showed.
public struct PreviewResult: Sendable {
    public let picture: VideoFrame
    /// Numbers of the frames, from 0.
    public let frames: [Int]
    /// About how long each of the tries would take for all frames; nil where nobody knows.
    public let seconds: [(label: String, seconds: Double?)]
}

extension Workflow {
    /// Restores a few frames under several settings, each as the whole run would give it, and puts them beside each other.
    ///
    /// Cost: for each of the settings scenes are looked for, the first window of the scene is prepared, and those windows in which the frames lie are restored.
    /// - Throws: as `restore`, and `WorkflowError` for a recipe of some frames only.
    public static func preview(
        _ request: PreviewRequest, _ execution: Execution = Execution(),
        tell: @escaping @Sendable (RestorationEvent) -> Void = { _ in }
    ) async throws -> PreviewResult {
        guard let input = request.tries.first?.recipe.input else {
            throw WorkflowError.message("There is nothing to try.")
        }
        guard request.tries.allSatisfy({ $0.recipe.frames == nil }) else {
            throw WorkflowError.message(
                "A preview looks at a moment of the whole video; take \"frames\" out of the recipe, and say --at.")
        }
        let reader = try await VideoReader(input, countFrames: true)
        let frames = try request.frames(of: reader.info, times: reader.times)
        var columns: [(label: String, note: String, pictures: [VideoFrame])] = []
        var seconds: [(label: String, seconds: Double?)] = []
        for (label, asked) in request.tries {
            var recipe = asked
            // Nothing is written there; a file is asked for so that frames have 8 bits.
            recipe.output = NSTemporaryDirectory() + "visionxl-preview-\(UUID().uuidString).mkv"
            (recipe.log, recipe.bits) = (nil, 8)
            (recipe.encoding, recipe.leaveOut) = (EncodingChoice(), OutputPlan.Part.allCases)
            let looked: (measured: [VideoFrame], restored: [VideoFrame], estimate: TimeEstimate?)
            do {
                looked = try await FileRestoration(recipe, execution, isTrial: true).look(at: frames, tell)
            } catch {
                throw recipe.advising(error)
            }
            if columns.isEmpty {
                columns.append(
                    ("measured", "frame \(frames.map(String.init).joined(separator: ", "))", looked.measured))
            }
            let note = looked.estimate.map {
                "all: \($0.isLowerBound ? "at least " : "")\(durationText(seconds: $0.seconds))"
            }
            columns.append((label, note ?? "", looked.restored))
            seconds.append((label, looked.estimate?.seconds))
        }
        return PreviewResult(picture: try picture(columns), frames: frames, seconds: seconds)
    }

    /// Columns of pictures, with two lines above each.
    static func picture(_ columns: [(label: String, note: String, pictures: [VideoFrame])]) throws -> VideoFrame {
        let pictures = columns.flatMap(\.pictures)
        let (width, height) = (pictures.map(\.width).max() ?? 1, pictures.map(\.height).max() ?? 1)
        let rows = columns.map(\.pictures.count).max() ?? 1
        // Letters that can be read, and do not eat up a small picture.
        let scale = max(1, min(3, width / 200))
        let (gap, line) = (4, 9 * scale)
        // Small pictures get room for a label.
        let column = max(width, 6 * 12 * scale)
        var canvas = Canvas(
            width: columns.count * (column + gap) + gap, height: 2 * line + gap + rows * (height + gap) + gap)
        for (index, entry) in columns.enumerated() {
            let left = gap + index * (column + gap)
            canvas.write(entry.label, x: left, y: gap, scale: scale, limit: column)
            canvas.write(entry.note, x: left, y: gap + line, scale: scale, limit: column)
            for (row, picture) in entry.pictures.enumerated() {
                canvas.draw(picture, x: left, y: 2 * line + gap + row * (height + gap))
            }
        }
        return try canvas.frame
    }
}
