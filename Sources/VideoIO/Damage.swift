import Subprocess
import Synchronization

/// What was wrong with a video that was decoded all the same.
public struct Damage: Sendable, Equatable {
    /// How often ffmpeg complained.
    public var complaints = 0
    /// Frames that could not be decoded. The frame before stands in the place of each, so that all others keep their
    /// times.
    public var replaced = 0

    public init(complaints: Int = 0, replaced: Int = 0) { (self.complaints, self.replaced) = (complaints, replaced) }

    /// What a person should know; nil where nothing was wrong.
    public func sentence(of path: String) -> String? {
        guard complaints > 0 else { return nil }
        let lost =
            replaced == 0
            ? "" : " \(replaced) frames could not be decoded, and the one before stands in the place of each."
        return "\(path) is damaged: ffmpeg complained \(complaints) times while decoding it; look at the frames there."
            + lost
    }
}

/// Which frames are missing among those that come, by their times.
struct FrameGaps {
    /// Times of all frames, rising.
    private let expected: [Int]
    private var next = 0
    /// Whether a frame came that is not expected, so that nothing can be said any more.
    private var isLost: Bool

    /// - Parameter expected: nil where times are not known.
    init(_ expected: [Int]?) { (self.expected, isLost) = (expected ?? [], expected == nil) }

    /// How many frames are missing before one of that time.
    mutating func missing(before tick: Int?) -> Int {
        guard !isLost, let tick else {
            isLost = true
            return 0
        }
        var place = next
        while place < expected.count, expected[place] < tick { place += 1 }
        guard place < expected.count, expected[place] == tick else {
            isLost = true
            return 0
        }
        defer { next = place + 1 }
        return place - next
    }

    /// How many are missing behind the last one that came.
    var missingAtEnd: Int { isLost ? 0 : expected.count - next }
}

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
