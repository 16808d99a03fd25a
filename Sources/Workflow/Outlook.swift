import Foundation
import VideoIO
import VisionXL

/// What a restoration would come to: windows, memory, disk and time.
public struct Outlook: Sendable, Encodable, CustomStringConvertible {
    public var input: String
    /// Frames that would be restored, and their size.
    public var frameCount: Int
    public var height: Int
    public var width: Int
    public var scenes: Int
    public var windows: Int
    /// Frames of the largest batch, context included.
    public var longest: Int
    public var memory: MemoryPlan
    public var disk: DiskPlan
    /// Nil where memory did not suffice to try the networks.
    public var time: TimeEstimate?

    /// Four lines.
    public var description: String {
        func count(_ number: Int, _ word: String) -> String { "\(number) \(word)\(number == 1 ? "" : "s")" }
        let duration = time.map { ($0.isLowerBound ? "at least " : "about ") + durationText(seconds: $0.seconds) }
        return """
            windows  \(count(windows, "window")) of up to \(count(longest, "frame")) in \(count(scenes, "scene")); \
            \(count(frameCount, "frame")) of \(width)x\(height)
            memory   \(memory)
            disk     \(disk)
            time     \(duration ?? "unknown: memory did not suffice to try the networks")
            """
    }
}

extension Workflow {
    /// What `restore` would come to. The video is looked at as `restore` would, the model is opened and its passes are tried; nothing is written.
    /// - Throws: as `restore`, for what can be refused before the work.
    public static func outlook(
        _ recipe: Recipe, _ execution: Execution = Execution(),
        tell: @escaping @Sendable (RestorationEvent) -> Void = { _ in }
    ) async throws -> Outlook {
        do {
            let restoration = try await FileRestoration(recipe, execution, isTrial: true, tell: tell)
            let (video, plan) = (restoration.video, restoration.plan)
            return Outlook(
                input: recipe.input, frameCount: plan.frameCount, height: video.height, width: video.width,
                scenes: plan.scenes.count, windows: plan.windows.count, longest: plan.longest,
                memory: restoration.memory, disk: restoration.disk, time: try await restoration.time())
        } catch {
            throw recipe.advising(error)
        }
    }
}
