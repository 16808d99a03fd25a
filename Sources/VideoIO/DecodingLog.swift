import Foundation
import Subprocess
import Synchronization

/// What ffmpeg says while it decodes: the time of each frame, and complaints.
final class DecodingLog: Sendable {
    /// Filters that make ffmpeg say the time of each frame, at once.
    static let filters =
        "metadata=mode=add:key=visionxl:value=1,metadata=mode=print:key=visionxl:direct=1:file='pipe\\:2'"

    struct Time: Sendable {
        /// Of those that were decoded, from 0.
        let frame: Int
        /// In the stream's own clock; nil for a frame without a time.
        let tick: Int?
    }

    private let times = Handoff<Time>()
    private let said = Mutex((tail: [String](), complaints: 0))

    /// Reads to the end, so that the child never blocks.
    func read(_ messages: SubprocessOutputSequence) async {
        do {
            for try await line in messages.strings() {
                if let time = Self.time(in: line) {
                    // Nobody takes it any more where the frames were enough.
                    try? await times.send(time)
                } else if !line.hasPrefix("visionxl=") {
                    said.withLock { said in
                        said.complaints += 1
                        said.tail = (said.tail + [line.trimmingCharacters(in: .whitespacesAndNewlines)]).suffix(6)
                    }
                }
            }
        } catch {
            // The child was killed while we read; what arrived so far is all there is.
        }
        times.finish()
    }

    /// Nobody asks for times any more.
    func close() { times.finish() }

    var complaints: Int { said.withLock { $0.complaints } }
    /// The last few lines.
    var tail: String { said.withLock { $0.tail.filter { !$0.isEmpty }.joined(separator: "; ") } }

    /// The time of a frame, which ffmpeg says before it hands the frame on.
    func tick(of frame: Int) async throws -> Int? {
        while let time = try await times.next() {
            if time.frame >= frame { return time.frame == frame ? time.tick : nil }
        }
        return nil
    }

    /// "frame:3    pts:120     pts_time:0.12", perhaps behind the beginning of another line.
    static func time(in line: String) -> Time? {
        guard let start = line.range(of: "frame:"), let pts = line.range(of: " pts:"),
            pts.lowerBound > start.upperBound,
            let frame = Int(line[start.upperBound...].prefix { $0 != " " })
        else { return nil }
        return Time(frame: frame, tick: Int(line[pts.upperBound...].prefix { $0 != " " }))
    }
}
