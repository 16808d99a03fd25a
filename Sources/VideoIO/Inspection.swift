import Foundation

/// What is wrong with a video as a series of frames, found before the work by a look at some of it.
public struct Inspection: Sendable, Equatable {
    /// The frames that were looked at for repetitions, from the first on.
    public var looked = 0
    /// Of these, how many show what the one before shows, among others that move.
    public var repeated = 0
    /// Whether film was spread over more frames by weaving fields, two of every five from two moments.
    public var isTelecined = false
    /// What is odd in the names of pictures, a sentence each.
    public var pictureNotes: [String] = []
    /// Sizes that follow the first one: the video changes its size.
    public var otherSizes: [String] = []

    /// A sentence for each thing that a person should know.
    public var notes: [String] {
        var notes = pictureNotes
        if repeated * 10 >= looked, looked >= 10 {
            notes.append(
                "\(repeated) of the first \(looked) frames repeat the one before, as where the rate was raised; each is"
                    + " restored as a frame of its own. `ffmpeg -i IN -vf mpdecimate` takes them out first.")
        }
        return notes
    }
}

extension Inspection {
    /// How many frames repeat the one before in a way that a raised rate or telecine has: never more than four in a
    /// row, and again and again. A still scene or a black one repeats more.
    /// - Parameter shown: numbers of those that repeat none.
    static func repetitions(shown: [Int], of count: Int) -> Int {
        let gaps = zip(shown, shown.dropFirst() + [count]).map { $1 - $0 - 1 }.filter { (1...4).contains($0) }
        return gaps.count >= 3 ? gaps.reduce(0, +) : 0
    }

    /// Whether fields repeat as telecine repeats them: one of the upper ones in every five frames, and one of the lower
    /// ones, each at its own place of the five. Where little moves, fields repeat here and there.
    /// - Parameters:
    ///   - tops: the frames whose upper field repeats, likewise `bottoms`.
    ///   - count: of frames that were looked at.
    static func isTelecine(tops: [Int], bottoms: [Int], of count: Int) -> Bool {
        func place(_ frames: [Int]) -> Int? {
            let counts = (0..<5).map { place in frames.count { $0 % 5 == place } }
            guard let most = counts.max(), most >= 4, most * 5 >= frames.count * 4, most * 15 >= count else {
                return nil
            }
            return counts.firstIndex(of: most)
        }
        guard let top = place(tops), let bottom = place(bottoms) else { return false }
        return top != bottom
    }
}

extension VideoReader {
    /// Looks at the first frames for repetitions, and at the key frames for changes of size.
    ///
    /// Costs decoding `frames` frames, and the key frames of codings that may change their size midway.
    /// - Throws: `VideoError.toolMissing`, `CancellationError`.
    public func inspected(frames: Int = 120) async throws -> Inspection {
        var inspection = Inspection()
        if case .pictures(let all) = source { inspection.pictureNotes = Pictures.notes(all) }
        guard case .file(let stream) = source else { return inspection }
        var (shown, tops, bottoms, current) = ([Int](), [Int](), [Int](), 0)
        // Numbers for times, of which repetitions are missing.
        let filters =
            "trim=end_frame=\(frames),settb=1/1000000,setpts=N,idet,metadata=mode=print:key=\(Self.repeatedField),"
            + "mpdecimate=hi=64:lo=64:frac=1,showinfo=checksum=0"
        let arguments = ["-hide_banner", "-nostdin", "-nostats", "-i", FFmpeg.url(path), "-map", "0:\(stream)"]
        try await FFmpeg.eachMessage(
            "ffmpeg", arguments + ["-frames:v", "\(frames)", "-vf", filters, "-f", "null", "-"]
        ) { line in
            func number(behind word: String) -> Int? {
                line.range(of: word).flatMap { Int(line[$0.upperBound...].drop { $0 == " " }.prefix { $0 != " " }) }
            }
            if line.contains("showinfo"), let frame = number(behind: " pts:") { shown.append(frame) }
            if line.contains("frame:"), let frame = number(behind: " pts:") { current = frame }
            if line.contains(Self.repeatedField + "=top") { tops.append(current) }
            if line.contains(Self.repeatedField + "=bottom") { bottoms.append(current) }
        }
        if !shown.isEmpty, let count = info.frameCount {
            inspection.looked = min(frames, count)
            inspection.repeated = Inspection.repetitions(shown: shown, of: inspection.looked)
            inspection.isTelecined = Inspection.isTelecine(tops: tops, bottoms: bottoms, of: inspection.looked)
        }
        inspection.otherSizes = try await otherSizes(stream)
        return inspection
    }

    /// What ffmpeg's `idet` calls it.
    private static let repeatedField = "lavfi.idet.repeated.current_frame"

    private func otherSizes(_ stream: Int) async throws -> [String] {
        // Elsewhere the container has one size for all, and key frames can be all there is.
        let mayChange: Set = ["h264", "hevc", "mpeg2video", "mpeg1video", "vp8", "vp9", "av1"]
        guard mayChange.contains(info.codec), !info.container.hasPrefix("mov,") else { return [] }
        let (output, _, _) = try await FFmpeg.collect(
            "ffprobe",
            ["-v", "error", "-select_streams", "\(stream)", "-skip_frame", "nokey"]
                + ["-show_entries", "frame=width,height", "-of", "csv=p=0:s=x", "-i", FFmpeg.url(path)], limit: 64 << 20
        )
        var sizes: [String] = []
        for line in String(decoding: output, as: UTF8.self).split(separator: "\n") {
            // Side data make further fields.
            let size = line.split(separator: "x").prefix(2).joined(separator: "x")
            if !size.isEmpty, !sizes.contains(size) { sizes.append(size) }
        }
        return Array(sizes.dropFirst())
    }
}
