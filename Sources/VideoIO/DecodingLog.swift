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

    private struct Said {
        var tail: [String] = []
        var complaints = 0
        var places: FramePlaces
    }

    private let first: Int
    private let arrivals = Handoff<FramePlaces.Arrival>()
    private let said: Mutex<Said>

    /// - Parameters:
    ///   - places: of frames that nobody has seen yet.
    ///   - first: the first decoded frame that somebody is going to ask for.
    init(_ places: FramePlaces, asking first: Int) {
        self.first = first
        said = Mutex(Said(places: places))
    }

    /// Reads to the end, so that the child never blocks.
    func read(_ messages: SubprocessOutputSequence) async {
        do {
            for try await line in messages.strings() {
                if let time = Self.time(in: line) {
                    let arrival = said.withLock {
                        $0.places.add(time.frame, tick: time.tick, isDamaged: $0.complaints > 0)
                    }
                    // Nobody takes it any more where the frames were enough.
                    if time.frame >= first { try? await arrivals.send(arrival) }
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
        arrivals.finish()
    }

    /// Nobody asks for frames any more.
    func close() { arrivals.finish() }

    var complaints: Int { said.withLock { $0.complaints } }
    /// What was seen so far.
    var places: FramePlaces { said.withLock { $0.places } }
    /// The last few lines.
    var tail: String { said.withLock { $0.tail.filter { !$0.isEmpty }.joined(separator: "; ") } }

    /// What was said of a frame before it was handed on; nil where nothing was.
    func arrival(of frame: Int) async throws -> FramePlaces.Arrival? {
        while let arrival = try await arrivals.next() {
            if arrival.frame >= frame { return arrival.frame == frame ? arrival : nil }
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
