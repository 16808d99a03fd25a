import Foundation

/// The ffmpeg that turns raw frames on a pipe into a file or a folder.
struct EncoderCommand: Sendable {
    /// How frames with times of their own go over the pipe.
    struct Packaging: Sendable {
        let stream: TimedStream
        /// Nil for frames of one rate.
        let times: FrameTimes?

        /// What goes over the pipe before a frame's own bytes.
        func bytes(before frame: Int) -> [UInt8] {
            let time =
                times?.nanoseconds(of: frame)
                ?? Int((Double(frame) * 1e9 / stream.frameRate.perSecond).rounded())
            return (frame == 0 ? stream.header : []) + stream.frameHeader(nanoseconds: time)
        }
    }

    let container: Container
    /// Nil where raw frames of one rate say all.
    let packaging: Packaging?
    private let input: [String]
    private let encoding: [String]
    /// How the picture track is copied.
    private let copying: [String]
    private let plan: OutputPlan?
    private let clock: Int?
    private let covers: CoverFiles?

    var isFolder: Bool { container == .pictures }

    /// - Throws: `VideoError`: `badFrame`, `unsupportedTarget`, `toolMissing`.
    init(
        to path: String, width: Int, height: Int, bitDepth: Int, frameRate: FrameRate, encoding: VideoEncoding?,
        tags: ColourTags, keeping plan: OutputPlan?
    ) async throws {
        let chosen = try encoding ?? VideoEncoding(forPath: path)
        try chosen.check(path: path)
        guard bitDepth == 8 || bitDepth == 16, VideoFrame.componentCount(width: width, height: height) != nil else {
            throw VideoError.badFrame("frames of \(width)x\(height) with \(bitDepth) bits cannot be written")
        }
        let settled = try await chosen.settled(path: path, width: width, height: height, frameBits: bitDepth)
        // A folder of pictures may have any name.
        container = chosen.codec == .png ? .pictures : try Container(path: path)
        try settled.check(tags, path: path)
        self.plan = plan
        let times = plan?.times
        let isLate = (plan?.startDelay ?? 0) > 0.0005
        if times != nil || isLate || plan?.mastering != nil, !container.isFramesAlone {
            let stream = TimedStream(
                width: width, height: height, bitDepth: bitDepth, frameRate: frameRate, mastering: plan?.mastering)
            packaging = Packaging(stream: stream, times: times)
            input = ["-f", "matroska", "-i", "pipe:0"]
        } else {
            packaging = nil
            input =
                ["-f", "rawvideo", "-pix_fmt", bitDepth == 8 ? "rgb24" : "rgb48le"]
                + ["-video_size", "\(width)x\(height)", "-framerate", "\(frameRate)", "-i", "pipe:0"]
        }
        if let rate = times?.perSecond {
            // The source's own clock where it ticks in whole parts of a second, so that no time is rounded twice.
            clock = rate.denominator == 1 && rate.numerator <= 1_000_000 ? rate.numerator : 90_000
        } else {
            // One in which frames are whole ticks apart, fine enough for when the first one comes.
            clock = packaging.map { _ in frameRate.numerator * max(1, 10_000 / frameRate.numerator) }
        }
        self.encoding =
            settled.arguments(
                tags: tags, aspect: plan?.aspect, mastering: plan?.mastering, container: container,
                colour: await ColourConversion.detected()) + settled.extraArguments
        // Frames in .y4m are no coding of their own, and are written again as they are.
        copying =
            (settled.codec == .h265 && container != .mkv ? ["-tag:v:0", "hvc1"] : [])
            + ExtraWords(settled.extraArguments).ofJoining
            + ["-c:v:0", settled.codec == .raw ? "wrapped_avframe" : "copy"]
        let attached = plan?.items.count { $0.treatment == .copied && $0.stream.kind == .attachment } ?? 0
        covers = try await CoverFiles(plan?.coversToAttach ?? [], of: plan?.source ?? "", behind: attached)
    }

    /// - Parameters:
    ///   - output: a file, or for pictures the folder that ffmpeg is started in.
    ///   - isRehearsal: only a moment of the source.
    ///   - segments: a list of encoded pieces, which are joined; nil for frames that are encoded.
    func arguments(output: String, isRehearsal: Bool = false, joining segments: String? = nil) -> [String] {
        var arguments = FFmpeg.quietly + ["-y"]
        if let delay = plan?.startDelay, delay > 0.0005, !isFolder { arguments += ["-itsoffset", "\(delay)"] }
        arguments += segments.map { ["-f", "concat", "-safe", "0", "-i", FFmpeg.url($0)] } ?? input
        if let plan, plan.needsSource, !isFolder {
            if isRehearsal { arguments += ["-t", "0.5"] }
            arguments += ["-i", FFmpeg.url(URL(fileURLWithPath: plan.source).path)]
        }
        arguments += ["-map", "0:v:0"] + (plan?.arguments ?? []) + (covers?.arguments ?? [])
        arguments += segments == nil ? encoding + ["-fps_mode:v:0", "passthrough"] : copying
        if let clock, segments == nil { arguments += ["-enc_time_base:v:0", "1:\(clock)"] }
        if isFolder {
            // ffmpeg runs inside the folder, so that a percent sign in its name is not taken for a pattern.
            return arguments + ["-start_number", "0", "-f", "image2", "%06d.png"]
        }
        if container == .mp4 || container == .mov {
            if let clock, let packaging {
                arguments += ["-video_track_timescale", "\(clock)"]
                // Encoders do not say how long a frame of its own time lasts, and the last one would end at once.
                let seconds = packaging.times?.lastSeconds ?? 1 / packaging.stream.frameRate.perSecond
                arguments += ["-bsf:v:0", "setts=pts=PTS:dts=DTS:duration=\(seconds)/TB"]
            }
            arguments += ["-movflags", "+faststart"]
        }
        if plan?.isExperimental ?? false { arguments += ["-strict", "-2"] }
        // What is more than 8 bits is no part of the format's first description.
        if container == .y4m { arguments += ["-strict", "-1"] }
        return arguments + [FFmpeg.url(output)] + (plan?.clock ?? [])
    }
}
