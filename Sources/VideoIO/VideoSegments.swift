import Foundation

/// A video that is encoded in segments, one after the other or at different times, and then joined without encoding anything again.
///
///     let segments = try VideoSegments(to: "out.mp4", frames: [0..<75, 75..<120], ...)
///     let writer = try await segments.writer(0, to: "0000.mp4")
///     ...
///     try await segments.join(["0000.mp4", "0001.mp4"])
public struct VideoSegments: Sendable {
    public let path: String
    /// The frames of each segment.
    public let frames: [Range<Int>]
    public let width: Int
    public let height: Int
    public let bitDepth: Int
    private let frameRate: FrameRate
    private let encoding: VideoEncoding
    private let tags: ColourTags
    private let plan: OutputPlan
    private let container: Container
    private let overwrite: Bool

    /// Takes what `VideoWriter.init` takes.
    /// - Parameter frames: of the segments, each beginning where the one before ends.
    /// - Throws: `unsupportedTarget` for words for ffmpeg that would cut each segment, too.
    public init(
        to path: String, frames: [Range<Int>], width: Int, height: Int, bitDepth: Int, frameRate: FrameRate,
        encoding: VideoEncoding, tags: ColourTags, keeping plan: OutputPlan, overwrite: Bool = false
    ) throws(VideoError) {
        (self.path, self.frames, self.width, self.height) = (path, frames, width, height)
        (self.bitDepth, self.frameRate, self.encoding) = (bitDepth, frameRate, encoding)
        (self.tags, self.plan, self.overwrite) = (tags, plan, overwrite)
        container = encoding.codec == .png ? .pictures : try Container(path: path)
        if let word = ExtraWords(encoding.extraArguments).cutting {
            throw .unsupportedTarget(
                path,
                reason:
                    "a longer video is encoded in segments, each of which \(word) would cut; leave it out, and ask for"
                    + " fewer frames")
        }
    }

    /// Whether a person has words for ffmpeg.
    var hasWords: Bool { !encoding.extraArguments.isEmpty }

    /// What a segment's name ends with: ".mp4", or nothing for a folder of pictures.
    public var ending: String { container == .pictures ? "" : ".\(container.rawValue)" }

    /// Writes a segment's frames, without sound and the like.
    /// - Throws: as `VideoWriter.init`.
    public func writer(_ index: Int, to segment: String) async throws -> VideoWriter {
        try await writer(of: frames[index], to: segment)
    }

    func writer(of range: Range<Int>, to segment: String) async throws -> VideoWriter {
        var encoding = encoding
        // Pictures are gathered without ffmpeg: no other command hears the words.
        if container != .pictures { encoding.extraArguments = ExtraWords(encoding.extraArguments).ofSegments }
        return try await VideoWriter(
            to: segment, width: width, height: height, bitDepth: bitDepth, frameRate: frameRate, encoding: encoding,
            tags: tags, keeping: plan.picture(times: times(range)), overwrite: true)
    }

    /// The times of a segment's frames; nil for one rate that the container can hold as it is.
    private func times(_ range: Range<Int>) -> FrameTimes? {
        // A .mkv counts in milliseconds; rounded once, as in one piece.
        if container == .mkv {
            return FrameRate(1000).flatMap { times(range, perSecond: $0, milliseconds) }
        }
        guard let whole = plan.times else { return nil }
        return times(range, perSecond: whole.perSecond, whole.tick)
    }

    private func times(_ range: Range<Int>, perSecond: FrameRate, _ tick: (Int) -> Int) -> FrameTimes? {
        FrameTimes(
            ticks: range.map { tick($0) - tick(range.lowerBound) }, perSecond: perSecond,
            lastDuration: tick(range.upperBound) - tick(range.upperBound - 1))
    }

    /// Seconds from the video's first frame to another one, or to its end.
    private func seconds(of frame: Int) -> Double {
        guard let times = plan.times else { return Double(frame) / frameRate.perSecond }
        return Double(times.tick(of: frame) - times.tick(of: 0)) / times.perSecond.perSecond
    }

    /// Rounded as ffmpeg does it, halves up.
    private func milliseconds(of frame: Int) -> Int {
        let ticks = plan.times.map { $0.tick(of: frame) - $0.tick(of: 0) } ?? frame
        let rate = plan.times?.perSecond ?? frameRate
        return (2000 * ticks * rate.denominator + rate.numerator) / (2 * rate.numerator)
    }

    /// Puts the segments together, with all that is kept of the source, and gives the whole its name. Nobody else may write it meanwhile: what
    /// was left of it by a process that was killed is removed.
    /// - Parameter segments: a file, or for pictures a folder, for each.
    /// - Throws: `VideoError`, as `VideoWriter`.
    public func join(_ segments: [String]) async throws {
        let command = try await command()
        defer { withExtendedLifetime(command) {} }
        Destination.removeRemains(of: path, isFolder: command.isFolder)
        let destination = try Destination(target: path, isFolder: command.isFolder, overwrite: overwrite)
        do {
            if command.isFolder {
                try gather(segments, into: destination.partial)
            } else {
                try await concatenate(segments, of: frames, command, into: destination.partial)
            }
            try Task.checkCancellation()
            try destination.commit()
        } catch {
            destination.discard()
            throw error
        }
    }

    /// Refuses a place where `join` could not put the result. Nothing stays there.
    /// - Throws: `VideoError`.
    public func checkPlace() async throws {
        let command = try await command()
        try Destination(target: path, isFolder: command.isFolder, overwrite: overwrite).discard()
    }

    /// The command that joins. It keeps files that ffmpeg reads, so it must outlive it.
    func command() async throws -> EncoderCommand {
        try await EncoderCommand(
            to: path, width: width, height: height, bitDepth: bitDepth, frameRate: frameRate, encoding: encoding,
            tags: tags, keeping: plan)
    }

    /// - Parameter frames: of each segment.
    func concatenate(
        _ segments: [String], of frames: [Range<Int>], _ command: EncoderCommand, into output: String,
        isRehearsal: Bool = false
    ) async throws {
        let place = try ScratchFolder()
        defer { withExtendedLifetime(place) {} }
        let list = place.file("list.txt")
        var text = "ffconcat version 1.0\n"
        for (index, segment) in segments.enumerated() {
            let quoted = URL(fileURLWithPath: segment).path.replacing("'", with: "'\\''")
            text += "file 'file:\(quoted)'\n"
            // Where the next one begins, whatever the container has made of the last frame's duration.
            let (first, next) = (frames[index].lowerBound, frames[index].upperBound)
            let microseconds =
                container == .mkv
                ? 1000 * (milliseconds(of: next) - milliseconds(of: first))
                : Int((seconds(of: next) * 1e6).rounded()) - Int((seconds(of: first) * 1e6).rounded())
            let fraction = String(microseconds % 1_000_000 + 1_000_000).dropFirst()
            text += "duration \(microseconds / 1_000_000).\(fraction)\n"
        }
        try Data(text.utf8).write(to: URL(fileURLWithPath: list))
        let answer = try await FFmpeg.collect(
            "ffmpeg",
            ["-progress", "pipe:1", "-stats_period", "60"]
                + command.arguments(output: output, isRehearsal: isRehearsal, joining: list), limit: 1 << 20)
        if answer.messages.contains("No space left on device") { throw VideoError.diskFull(path) }
        guard answer.succeeded, !VideoWriter.isBroken(answer.messages) else {
            throw VideoError.ffmpegFailed("writing \"\(path)\"", details: answer.messages)
        }
        // ffmpeg passes over a segment that it cannot read, or not to its end, and calls that a success.
        let (joined, count) = (Self.frames(in: answer.output), frames.prefix(segments.count).map(\.count).reduce(0, +))
        // A filter of packets may leave some out on purpose.
        let mayDrop = encoding.extraArguments.contains { $0.hasPrefix("-bsf") }
        if !isRehearsal, !mayDrop, let joined, joined != count {
            throw VideoError.ffmpegFailed(
                "writing \"\(path)\"",
                details: "of \(count) frames \(joined) could be read from the segments; begin the work anew. "
                    + answer.messages)
        }
    }

    /// The last "frame=12" of a report of ffmpeg's progress.
    private static func frames(in report: [UInt8]) -> Int? {
        String(decoding: report, as: UTF8.self).split(whereSeparator: \.isNewline)
            .last { $0.hasPrefix("frame=") }.flatMap { Int($0.dropFirst(6).trimmingCharacters(in: .whitespaces)) }
    }

    /// Moves pictures into one folder, numbered through.
    private func gather(_ segments: [String], into folder: String) throws {
        for (index, segment) in segments.enumerated() {
            for frame in frames[index] {
                let picture = segment + "/" + Pictures.name(frame - frames[index].lowerBound)
                let target = folder + "/" + Pictures.name(frame)
                // A link costs nothing and leaves the segment whole, should this be interrupted; another file system has none.
                if link(picture, target) == 0 { continue }
                do {
                    try FileManager.default.copyItem(atPath: picture, toPath: target)
                } catch {
                    throw VideoError.cannotWrite(path, reason: error.localizedDescription)
                }
            }
        }
    }
}
