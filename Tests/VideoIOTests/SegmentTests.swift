import Foundation
import TestSupport
import Testing

@testable import VideoIO

/// A video that is encoded in pieces and joined is the video that is encoded at once: its frames, their times, and all that is kept.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct SegmentTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder("segments") }

    struct Kind: Sendable, CustomTestStringConvertible {
        var output: String
        var codec: VideoEncoding.Codec
        var rate = "25"
        /// Seconds between frames that vary.
        var isVariable = false
        var testDescription: String { "\(codec) in \(output), \(rate)\(isVariable ? ", variable" : "")" }
    }

    static let kinds = [
        Kind(output: "out.mp4", codec: .h264), Kind(output: "out.mp4", codec: .h264, rate: "30000/1001"),
        Kind(output: "out.mp4", codec: .h264, isVariable: true),
        Kind(output: "out.mp4", codec: .h265, rate: "24000/1001"),
        Kind(output: "out.mov", codec: .h264), Kind(output: "out.mov", codec: .prores, rate: "30000/1001"),
        Kind(output: "out.mov", codec: .prores, isVariable: true), Kind(output: "out.mkv", codec: .ffv1),
        Kind(output: "out.mkv", codec: .ffv1, rate: "30000/1001"),
        Kind(output: "out.mkv", codec: .ffv1, isVariable: true),
        Kind(output: "out.mkv", codec: .h264, rate: "24000/1001"),
        Kind(output: "out.mkv", codec: .h265, isVariable: true),
        Kind(output: "out.mp4", codec: .av1), Kind(output: "out.mkv", codec: .av1, rate: "30000/1001"),
        Kind(output: "out", codec: .png),
    ]

    private func lines(_ path: String, _ arguments: [String]) async throws -> [String] {
        let (output, _, _) = try await FFmpeg.collect(
            "ffprobe", ["-v", "error"] + arguments + ["-of", "csv=p=0", "file:" + path], limit: 1 << 20)
        return String(decoding: output, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test(arguments: kinds) func joined(kind: Kind) async throws {
        let source = folder.file("source.mp4")
        let vary = kind.isVariable ? ["-vf", "settb=1/90000,setpts='(N+mod(N,3)*0.4)/25/TB'", "-fps_mode", "vfr"] : []
        try await ffmpeg(
            ["-f", "lavfi", "-i", "testsrc2=size=96x80:rate=\(kind.rate)", "-f", "lavfi", "-i", "sine=duration=2"]
                + vary + [
                    "-map", "0:v", "-map", "1:a", "-frames:v", "23", "-c:v", "libx264", "-c:a", "aac", "-shortest",
                ]
                + ["-metadata", "title=joined", "-video_track_timescale", "90000", "file:" + source])
        let reader = try await VideoReader(source, countFrames: true)
        #expect((reader.times != nil) == kind.isVariable)
        let frames = try await allFrames(reader.frames())
        let (whole, parts) = (folder.file("whole-" + kind.output), folder.file(kind.output))
        let encoding = VideoEncoding(kind.codec)
        let writer = try await VideoWriter(
            to: whole, width: 96, height: 80, bitDepth: 16, frameRate: reader.info.frameRate, encoding: encoding,
            tags: reader.info.tagsForCopies, keeping: OutputPlan(for: reader, to: whole))
        for frame in frames { try await writer.append(frame) }
        try await writer.finish()

        let segments = try VideoSegments(
            to: parts, frames: [0..<9, 9..<10, 10..<23], width: 96, height: 80, bitDepth: 16,
            frameRate: reader.info.frameRate, encoding: encoding, tags: reader.info.tagsForCopies,
            keeping: OutputPlan(for: reader, to: parts))
        let pieces = try await written(frames, in: segments)
        try await segments.join(pieces)

        guard kind.codec != .png else {
            #expect(try await allFrames(VideoReader(parts).frames()) == allFrames(VideoReader(whole).frames()))
            return
        }
        // Of times that vary a rate is a guess.
        let rates = kind.isVariable ? "" : ",r_frame_rate,avg_frame_rate"
        let entries = "stream=codec_name,pix_fmt,color_range,color_space,codec_tag_string" + rates
        let arguments = ["-select_streams", "v:0", "-show_entries", entries]
        #expect(try await lines(parts, arguments) == lines(whole, arguments))
        // To a tick of the container.
        let times = ["-select_streams", "v:0", "-show_entries", "frame=pts_time"]
        let (mine, others) = (try await lines(parts, times), try await lines(whole, times))
        #expect(mine.count == 23 && others.count == 23)
        for (a, b) in zip(mine, others) {
            let difference = abs((Double(a.filter { $0 != "," }) ?? 0) - (Double(b.filter { $0 != "," }) ?? 99))
            #expect(difference < 0.00002, "\(a) \(b)")
        }
        let rest = ["-show_entries", "format_tags=title:stream=codec_type"]
        #expect(try await lines(parts, rest) == lines(whole, rest))
        if kind.codec == .ffv1 {
            #expect(try await allFrames(VideoReader(parts).frames()) == allFrames(VideoReader(whole).frames()))
        }
        let durations = ["-show_entries", "format=duration"]
        let (long, longer) = (try await lines(parts, durations), try await lines(whole, durations))
        #expect(abs((Double(long[0]) ?? 0) - (Double(longer[0]) ?? 99)) < 0.05, "\(long) \(longer)")
    }

    /// Frames in a file for each segment.
    private func written(_ frames: [VideoFrame], in segments: VideoSegments) async throws -> [String] {
        var pieces: [String] = []
        for (index, range) in segments.frames.enumerated() {
            pieces.append(folder.file("it's \(index)" + segments.ending))
            let writer = try await segments.writer(index, to: pieces[index])
            for frame in frames[range] { try await writer.append(frame) }
            try await writer.finish()
        }
        return pieces
    }

    /// ffmpeg passes over what it cannot read, and ends well.
    @Test(arguments: [0, 0.7]) func aBrokenSegmentIsNoEnd(left: Double) async throws {
        try await makeClip(folder.file("clip.mkv"))
        let reader = try await VideoReader(folder.file("clip.mkv"))
        let frames = try await allFrames(reader.frames())
        let (output, half) = (folder.file("out.mkv"), frames.count / 2)
        let segments = try VideoSegments(
            to: output, frames: [0..<half, half..<frames.count], width: reader.info.width, height: reader.info.height,
            bitDepth: frames[0].bitDepth, frameRate: reader.info.frameRate, encoding: VideoEncoding(.ffv1),
            tags: reader.info.tagsForCopies, keeping: OutputPlan(for: reader, to: output))
        let pieces = try await written(frames, in: segments)
        let whole = try Data(contentsOf: URL(fileURLWithPath: pieces[1]))
        try whole.prefix(Int(Double(whole.count) * left)).write(to: URL(fileURLWithPath: pieces[1]))
        let error = await videoError { try await segments.join(pieces) }
        #expect("\(try #require(error))".contains("of \(frames.count) frames"), "\(error as Any)")
        #expect(!FileManager.default.fileExists(atPath: output))
        try whole.write(to: URL(fileURLWithPath: pieces[1]))
        try await segments.join(pieces)
        #expect(try await allFrames(VideoReader(output).frames()).count == frames.count)
    }

    @Test func wordsGoToWhoUnderstandsThem() {
        let words = ExtraWords(
            ["-preset", "slow", "-movflags", "+faststart", "-profile:v", "high", "-metadata:s:v:0", "title=a:v", "-vf"]
                + ["hflip", "-c:a", "aac", "-filter:a", "volume=2", "-c:0", "ffv1", "-map", "1:a", "-shortest", "-b:v"])
        #expect(words.ofSegments == words.all.filter { $0 != "-map" && $0 != "1:a" })
        #expect(
            words.ofJoining
                == ["-preset", "slow", "-movflags", "+faststart", "-metadata:s:v:0", "title=a:v", "-c:a", "aac"]
                + ["-filter:a", "volume=2", "-map", "1:a", "-shortest"])
        // A filter of packets acts once, and a value that begins with a number is no option.
        let others = ExtraWords(
            ["-bsf:v", "noise=drop=not(mod(n\\,2))", "-map_metadata:g", "-1:v:1", "-c:V", "libx264", "-crf:V:0", "9"])
        #expect(others.ofSegments == ["-c:V", "libx264", "-crf:V:0", "9"])
        #expect(others.ofJoining == Array(others.all[..<4]))
        #expect(ExtraWords(["-map_metadata", "-1", "-preset", "slow"]).ofSegments == ["-preset", "slow"])
        #expect(ExtraWords(["-qmin", "-1:v:1", "-an"]).ofJoining == ["-qmin", "-1:v:1", "-an"])
        #expect(ExtraWords([]).ofJoining.isEmpty && ExtraWords([]).ofSegments.isEmpty)
    }

    /// What cuts a video would cut each of its segments.
    @Test(arguments: ["-ss", "-t", "-to", "-fs", "-vframes", "-frames:v", "-frames:V:0", "-frames", "-frames:0"])
    func wordsThatCutAreRefused(word: String) async throws {
        try await makeClip(folder.file("clip.mkv"))
        let plan = try await OutputPlan(for: VideoReader(folder.file("clip.mkv")), to: "out.mkv")
        for (path, codec) in [("out.mkv", VideoEncoding.Codec.ffv1), ("out", .png)] {
            func segments(_ words: [String]) async -> VideoError? {
                await videoError {
                    _ = try VideoSegments(
                        to: path, frames: [0..<2, 2..<5], width: 64, height: 64, bitDepth: 8, frameRate: .fps25,
                        encoding: VideoEncoding(codec, extraArguments: words), tags: .bt709, keeping: plan)
                }
            }
            #expect("\(await segments(["-g", "9", word, "1"]) as Any)".contains("each of which \(word) would cut"))
            #expect(await segments(["-frames:a", "9", "-metadata", "title=-t", "-threads", "1"]) == nil)
        }
    }

    /// A person's words are heard in a joined video as in one piece: by the encoder, by the container, and by what is kept beside the picture.
    @Test(arguments: ["out.mp4", "out.mkv"]) func extraWordsAreHeard(output: String) async throws {
        let source = folder.file("source.mp4")
        try await ffmpeg(
            ["-f", "lavfi", "-i", "testsrc2=size=96x80:rate=25", "-f", "lavfi", "-i", "sine=duration=1"]
                + ["-frames:v", "23", "-c:v", "libx264", "-c:a", "aac", "-metadata", "title=old", "file:" + source])
        let reader = try await VideoReader(source, countFrames: true)
        let frames = try await allFrames(reader.frames())
        var encoding = VideoEncoding.h264()
        encoding.extraArguments =
            ["-metadata", "title=new", "-metadata:s:v:0", "language=jpn", "-c:a", "flac", "-x264-params", "keyint=2"]
            + ["-profile:v", "high", "-vf", "format=yuv420p", "-map", "1:a"]
        if output.hasSuffix("mp4") { encoding.extraArguments += ["-movflags", "+use_metadata_tags", "-strict", "-2"] }
        encoding.extraArguments += ["-metadata", "odd=yes"]
        let (whole, parts) = (folder.file("whole-" + output), folder.file(output))
        let plan = try OutputPlan(for: reader, to: whole)
        let info = reader.info
        try await VideoWriter.rehearse(
            to: whole, width: 96, height: 80, bitDepth: 16, frameRate: info.frameRate, encoding: encoding,
            tags: info.tagsForCopies, keeping: plan)
        let writer = try await VideoWriter(
            to: whole, width: 96, height: 80, bitDepth: 16, frameRate: info.frameRate, encoding: encoding,
            tags: info.tagsForCopies, keeping: plan)
        for frame in frames { try await writer.append(frame) }
        try await writer.finish()
        let segments = try VideoSegments(
            to: parts, frames: [0..<10, 10..<23], width: 96, height: 80, bitDepth: 16, frameRate: info.frameRate,
            encoding: encoding, tags: info.tagsForCopies, keeping: OutputPlan(for: reader, to: parts))
        try await segments.rehearse()
        let pieces = segments.frames.indices.map { folder.file("\($0)" + segments.ending) }
        for (index, range) in segments.frames.enumerated() {
            let writer = try await segments.writer(index, to: pieces[index])
            for frame in frames[range] { try await writer.append(frame) }
            try await writer.finish()
        }
        try await segments.join(pieces)
        let described = [
            "-show_entries", "format_tags=title,odd,ODD:stream=codec_type,codec_name,profile:stream_tags=language",
        ]
        #expect(try await lines(parts, described) == lines(whole, described))
        let text = try await lines(parts, described).joined(separator: "\n")
        #expect(
            text.contains("new") && text.contains("yes") && text.contains("jpn") && !text.contains("old"), "\(text)")
        #expect(text.components(separatedBy: "flac").count == 3 && text.contains("High"), "\(text)")
        // Every other frame is a key frame.
        let keys = ["-select_streams", "v:0", "-show_entries", "packet=flags"]
        for path in [whole, parts] {
            let flags = try await lines(path, keys)
            #expect(flags.count == 23 && flags.count { $0.hasPrefix("K") } == 12, "\(flags)")
        }
    }

    /// What could not be joined in the end is refused in the beginning, and a video in one piece is not.
    @Test func wordsThatCannotBeJoinedAreRefused() async throws {
        let (source, path) = (folder.file("source.mkv"), folder.file("out.mkv"))
        let chapters = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/10\nSTART=0\nEND=4\ntitle=one\n"
        try Data(chapters.utf8).write(to: URL(fileURLWithPath: folder.file("chapters.txt")))
        try await makeClip(folder.file("clip.mkv"))
        try await ffmpeg(["-i", folder.file("clip.mkv"), "-i", folder.file("chapters.txt"), "-c", "copy", source])
        let (before, plan) = (
            folder.contents, try await OutputPlan(for: VideoReader(source, countFrames: true), to: path)
        )
        func rehearse(_ words: [String], inSegments: Bool) async -> VideoError? {
            let encoding = VideoEncoding(.ffv1, extraArguments: words)
            return await videoError {
                guard inSegments else {
                    return try await VideoWriter.rehearse(
                        to: path, width: 64, height: 64, bitDepth: 8, frameRate: .fps25, encoding: encoding,
                        tags: .bt709, keeping: plan)
                }
                try await VideoSegments(
                    to: path, frames: [0..<5], width: 64, height: 64, bitDepth: 8, frameRate: .fps25,
                    encoding: encoding, tags: .bt709, keeping: plan
                ).rehearse()
            }
        }
        for inSegments in [false, true] {
            #expect(await rehearse(["-metadata", "title=x"], inSegments: inSegments) == nil)
        }
        // A segment has no chapter that could be given a name.
        let chapter = ["-metadata:c:0", "title=x"]
        #expect(await rehearse(chapter, inSegments: false) == nil)
        let refusal = await rehearse(chapter, inSegments: true)
        #expect("\(refusal as Any)".contains("encoded in segments and joined"))
        #expect(folder.contents == before)
    }
}
