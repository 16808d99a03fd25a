import Foundation

/// When each frame of a video is shown, in whole ticks of the file's clock.
public struct FrameTimes: Sendable, Equatable {
    /// In the order in which frames are shown; each later than the one before.
    public let ticks: [Int]
    /// Ticks of a second, exact.
    public let perSecond: FrameRate
    /// Ticks for which the last frame is shown.
    public let lastDuration: Int

    /// - Parameter lastDuration: as long as the frame before it when nil.
    /// - Returns: nil unless each time is later than the one before.
    public init?(ticks: [Int], perSecond: FrameRate, lastDuration: Int? = nil) {
        guard zip(ticks, ticks.dropFirst()).allSatisfy({ $0 < $1 }) else { return nil }
        (self.ticks, self.perSecond) = (ticks, perSecond)
        let before = ticks.count > 1 ? ticks[ticks.count - 1] - ticks[ticks.count - 2] : 1
        self.lastDuration = lastDuration.flatMap { $0 > 0 ? $0 : nil } ?? before
    }

    /// Seconds from the first frame to another one.
    public func seconds(of frame: Int) -> Double { Double(ticks[frame] - ticks[0]) / perSecond.perSecond }

    /// Seconds for which the last frame is shown.
    var lastSeconds: Double { Double(lastDuration) / perSecond.perSecond }

    /// When a frame is shown; behind the last one as far apart as it lasts.
    func tick(of frame: Int) -> Int {
        let last = ticks.count - 1
        return frame <= last ? ticks[frame] : ticks[last] + (frame - last) * lastDuration
    }

    /// Nanoseconds from the first frame to another one, rounded; behind the last frame as far apart as it lasts.
    func nanoseconds(of frame: Int) -> Int {
        let exact =
            Double(tick(of: frame) - ticks[0]) * 1e9 * Double(perSecond.denominator) / Double(perSecond.numerator)
        return Int(exact.rounded())
    }

    /// Whether frames come as regularly as a clock of that rate has them, but for the rounding to ticks.
    func areRegular(at rate: FrameRate) -> Bool {
        ticks.indices.allSatisfy { abs(seconds(of: $0) - Double($0) / rate.perSecond) * perSecond.perSecond < 1.5 }
    }

    /// The times of some of the frames.
    func part(_ range: Range<Int>) -> FrameTimes? {
        guard range.upperBound <= ticks.count, !range.isEmpty else { return nil }
        let end = range.upperBound
        let duration = end < ticks.count ? ticks[end] - ticks[end - 1] : lastDuration
        return FrameTimes(ticks: Array(ticks[range]), perSecond: perSecond, lastDuration: duration)
    }
}

extension FrameTimes {
    /// Reads the packets of a stream, without decoding: costs one reading of the file.
    /// - Returns: how many frames there are to see, their times where each has one of its own, and what ffprobe says.
    static func read(
        _ path: String, stream: Int
    ) async throws -> (frames: Int, times: FrameTimes?, messages: String) {
        let arguments =
            [
                "-v", "error", "-select_streams", "\(stream)", "-show_entries",
                "packet=pts,duration,flags:stream=time_base",
            ]
            + ["-of", "csv=p=0", "-i", FFmpeg.url(path)]
        let (output, messages, succeeded) = try await FFmpeg.collect("ffprobe", arguments, limit: 1 << 30)
        guard succeeded else { throw VideoError.notAVideo(path, details: messages) }
        var (ticks, count, base, last) = ([Int](), 0, FrameRate?.none, (tick: Int.min, duration: Int?.none))
        for line in output.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            let first = String(decoding: fields[0], as: UTF8.self)
            if let found = FrameRate(first), fields.count == 1 {
                base = found
            } else if fields.count >= 3, !fields[2].contains(UInt8(ascii: "D")) {
                // An edit list hides those with a D.
                count += 1
                guard let tick = Int(first) else { continue }
                ticks.append(tick)
                if tick > last.tick { last = (tick, Int(String(decoding: fields[1], as: UTF8.self))) }
            }
        }
        guard let base, ticks.count == count, let clock = FrameRate(base.denominator, base.numerator) else {
            return (count, nil, messages)
        }
        return (count, FrameTimes(ticks: ticks.sorted(), perSecond: clock, lastDuration: last.duration), messages)
    }
}
