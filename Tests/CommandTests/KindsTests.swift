import Foundation
import TestSupport
import Testing

/// Small files of the kinds that people have, restored by the real program, and looked at by ffprobe before and after.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct KindsTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    struct Kind: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// ffmpeg's words for the file, its name last.
        var make: [String]
        var output: String
        var options: [String] = []
        /// Of ffprobe: the stream, the entry and what must be there.
        var found: [[String]] = []
        /// What the program says, or why it refuses.
        var said: [String] = []
        var isRefused = false
        var losesSomething = false
        var frames = 4
    }

    private static let picture = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.16"]
    private static let tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=0.16"]
    private static let h264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    private static let fields = [
        "-vf", "setfield=tff", "-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-top", "1",
    ]
    private static let hdr = [
        "-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-x265-params",
        "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:hdr10=1:master-display="
            + "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400",
        "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc",
    ]

    static let kinds = [
        Kind(
            testDescription: "pixels that are not square", make: picture + ["-vf", "setsar=64/45"] + h264 + ["in.mp4"],
            output: "out.mkv", found: [["v:0", "sample_aspect_ratio", "64:45"]]),
        Kind(
            testDescription: "the same as pictures", make: picture + ["-vf", "setsar=64/45"] + h264 + ["in.mp4"],
            output: "out/", said: ["64/45 times as wide as high"], losesSomething: true),
        Kind(
            testDescription: "two fields woven together",
            make: picture + fields + ["in.mpg"],
            output: "out.mp4", said: ["interlaced (top field first)", "bwdif", "--progressive"], isRefused: true),
        Kind(
            testDescription: "frames that are whole all the same",
            make: picture + fields + ["in.mpg"],
            output: "out.mp4", options: ["--progressive"]),
        Kind(
            testDescription: "full range",
            make: picture + [
                "-vf", "scale=out_range=pc,format=yuvj420p", "-c:v", "libx264", "-color_range", "pc", "in.mp4",
            ],
            output: "out.mp4", found: [["v:0", "color_range", "pc"]]),
        Kind(
            testDescription: "transparency", make: picture + ["-vf", "format=rgba", "-c:v", "qtrle", "in.mov"],
            output: "out.mp4", said: ["transparency"], losesSomething: true),
        Kind(
            testDescription: "sound that a .mp4 does not hold",
            make: picture + tone + h264 + ["-c:a", "pcm_s16le", "in.mov"],
            output: "out.mp4", found: [["a:0", "codec_name", "aac"]], said: ["Turned into AAC", "pcm_s16le"]),
        Kind(
            testDescription: "sound left out on purpose", make: picture + tone + h264 + ["-c:a", "aac", "in.mp4"],
            output: "out.mp4", options: ["--no-audio"], found: [["a:0", "codec_name", ""]]),
        Kind(
            testDescription: "languages, a title, a timecode",
            make: picture + tone + tone + ["-map", "0", "-map", "1", "-map", "2"] + h264
                + ["-c:a", "aac", "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=jpn"]
                + ["-metadata:s:a:1", "title=Commentary", "-disposition:a:0", "0", "-disposition:a:1", "default"]
                + ["-metadata", "title=A title", "in.mkv"],
            output: "out.mkv",
            found: [
                ["a:0", "codec_name:stream_tags=language", "aac,eng"],
                ["a:1", "codec_name:stream_tags=language,title", "aac,jpn,Commentary"],
                ["a:0", "codec_name:stream_disposition=default", "aac,0"],
                ["a:1", "codec_name:stream_disposition=default", "aac,1"],
            ]),
        Kind(
            testDescription: "a timecode", make: picture + h264 + ["-timecode", "01:00:00:00", "in.mov"],
            output: "out.mp4", found: [["v:0", "codec_name:stream_tags=timecode", "h264,01:00:00:00"]]),
        Kind(
            testDescription: "an edit list", make: ["-ss", "0.08", "-i", "whole.mp4", "-c", "copy", "in.mp4"],
            output: "out.mp4", found: [["v:0", "nb_frames", "2"]], frames: 2),
        Kind(
            testDescription: "no rate", make: picture + h264 + ["-f", "h264", "in.h264"], output: "out.mp4",
            found: [["v:0", "nb_frames", "4"]], said: ["is a guess"]),
        Kind(
            testDescription: "telecine",
            make: [
                "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=24", "-vf", "telecine", "-frames:v", "40", "-c:v",
                "ffv1",
                "in.mkv",
            ],
            output: "out.mp4", said: ["telecined", "fieldmatch", "--progressive"], isRefused: true),
        Kind(
            testDescription: "a codec that the container does not hold", make: picture + h264 + ["in.mp4"],
            output: "out.mp4", options: ["--codec", "ffv1"], said: ["FFV1 goes into .mkv"], isRefused: true),
        Kind(
            testDescription: "words that ffmpeg does not know", make: picture + h264 + ["in.mp4"], output: "out.mp4",
            options: ["--ffmpeg", "-nosuchoption 1"], said: ["nosuchoption"], isRefused: true),
        Kind(
            testDescription: "words that one piece can take", make: picture + h264 + ["in.mp4"], output: "out.mp4",
            options: ["--ffmpeg", "-t 9"]),
        Kind(
            testDescription: "words that would cut every segment", make: picture + h264 + ["in.mp4"],
            output: "out.mp4", options: ["--ffmpeg", "-t 9", "--window", "2"], said: ["each of which -t would cut"],
            isRefused: true),
    ]

    static let hdrKinds = [
        Kind(
            testDescription: "HDR", make: picture + hdr + ["-tag:v", "hvc1", "in.mp4"], output: "out.mp4",
            found: [
                ["v:0", "codec_name", "hevc"], ["v:0", "pix_fmt", "yuv420p10le"],
                ["v:0", "color_transfer", "smpte2084"],
                ["v:0", "color_space", "bt2020nc"], ["v:0", "color_primaries", "bt2020"],
            ]),
        Kind(
            testDescription: "HDR in eight bits", make: picture + hdr + ["in.mkv"], output: "out.mp4",
            options: ["--bits", "8"], said: ["HDR", "10 bits"], isRefused: true),
        Kind(
            testDescription: "HDR as pictures", make: picture + hdr + ["in.mkv"], output: "out/", said: ["HDR", "PNG"],
            isRefused: true),
    ]

    @Test(.enabled(if: x265IsInstalled, "this ffmpeg has no libx265"), arguments: hdrKinds)
    func highDynamicRange(_ the: Kind) async throws { try await restore(the) }

    @Test(arguments: kinds) func kind(_ the: Kind) async throws { try await restore(the) }

    private func restore(_ the: Kind) async throws {
        let name = try #require(the.make.last)
        if the.make.contains("whole.mp4") {
            try await place.clip("whole.mp4", frames: 4, extra: [])
        }
        try await place.tool("ffmpeg", ["-v", "error", "-nostdin"] + the.make)
        let before = try place.snapshot()
        let outcome = try await place.visionxl(
            ["restore", "--model", "tiny", "--steps", "5", "--tau", "0.5", name, "-o", the.output, "--task", "deblur"]
                + ["--blur-sigma", "1", "--blur-size", "7"] + the.options)
        for words in the.said { #expect(outcome.messages.contains(words), "\(outcome.messages)") }
        if the.isRefused {
            // Before the work, and in one sentence.
            expectOneSentence(outcome)
            #expect(try place.snapshot() == before)
            return
        }
        try #require(outcome.succeeded, "\(outcome.messages)")
        #expect(outcome.messages.contains("Left out") == the.losesSomething)
        if the.output.hasSuffix("/") { return }
        for entry in the.found {
            // Side data leave a comma behind.
            let values = try await place.probe(the.output, entry[1], stream: entry[0])
                .trimmingCharacters(in: CharacterSet(charactersIn: ","))
            #expect(values == entry[2], "\(entry)")
        }
        #expect(try await place.frames(the.output).count == the.frames)
    }
}
