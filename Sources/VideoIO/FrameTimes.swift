import Foundation

/// When each frame of a video is shown, in whole ticks of the file's clock.
public struct FrameTimes: Sendable, Equatable {
    /// In the order in which frames are shown; each later than the one before.
    public let ticks: [Int]
    /// Ticks of a second, exact.
    public let perSecond: FrameRate

    /// Nil unless each time is later than the one before.
    public init?(ticks: [Int], perSecond: FrameRate) {
        guard zip(ticks, ticks.dropFirst()).allSatisfy({ $0 < $1 }) else { return nil }
        (self.ticks, self.perSecond) = (ticks, perSecond)
    }

    /// Seconds from the first frame to another one.
    public func seconds(of frame: Int) -> Double { Double(ticks[frame] - ticks[0]) / perSecond.perSecond }

    /// Nanoseconds from the first frame to another one, rounded; behind the last frame as far apart as the last two.
    func nanoseconds(of frame: Int) -> Int {
        let last = ticks.count - 1
        let beyond = last > 0 ? (frame - last) * (ticks[last] - ticks[last - 1]) : frame - last
        let tick = frame <= last ? ticks[frame] : ticks[last] + beyond
        let exact = Double(tick - ticks[0]) * 1e9 * Double(perSecond.denominator) / Double(perSecond.numerator)
        return Int(exact.rounded())
    }

    /// Whether frames come as regularly as a clock of that rate has them, but for the rounding to ticks.
    func areRegular(at rate: FrameRate) -> Bool {
        ticks.indices.allSatisfy { abs(seconds(of: $0) - Double($0) / rate.perSecond) * perSecond.perSecond < 1.5 }
    }

    /// The times of some of the frames.
    func part(_ range: Range<Int>) -> FrameTimes? {
        guard range.upperBound <= ticks.count, !range.isEmpty else { return nil }
        return FrameTimes(ticks: Array(ticks[range]), perSecond: perSecond)
    }
}

extension FrameTimes {
    /// Reads the packets of a stream, without decoding: costs one reading of the file.
    /// - Returns: how many frames there are to see, and their times where each has one of its own.
    static func read(_ path: String, stream: Int) async throws -> (frames: Int, times: FrameTimes?) {
        let arguments =
            ["-v", "error", "-select_streams", "\(stream)", "-show_entries", "packet=pts,flags:stream=time_base"]
            + ["-of", "csv=p=0", "-i", FFmpeg.url(path)]
        let (output, messages, succeeded) = try await FFmpeg.collect("ffprobe", arguments, limit: 1 << 30)
        guard succeeded else { throw VideoError.notAVideo(path, details: messages) }
        var (ticks, count, base) = ([Int](), 0, FrameRate?.none)
        for line in output.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            let first = String(decoding: fields[0], as: UTF8.self)
            if let found = FrameRate(first), fields.count == 1 {
                base = found
            } else if fields.count >= 2, !fields[1].contains(UInt8(ascii: "D")) {
                // An edit list hides those with a D.
                count += 1
                if let tick = Int(first) { ticks.append(tick) }
            }
        }
        guard let base, ticks.count == count, let clock = FrameRate(base.denominator, base.numerator) else {
            return (count, nil)
        }
        return (count, FrameTimes(ticks: ticks.sorted(), perSecond: clock))
    }
}
