import Foundation
import TestSupport
import Testing

/// What comes out of the real program: each codec at each number of bits, chapters, and colours that stay.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct StoringTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    struct Codec: Sendable, CustomTestStringConvertible {
        var name: String
        var encoders: [String]
        /// In ffprobe's words.
        var found: String
        var container: String
        var bits: [Int]
        var testDescription: String { name }
    }

    static let codecs = [
        Codec(name: "h264", encoders: ["libx264"], found: "h264", container: ".mp4", bits: [8, 10]),
        Codec(name: "h265", encoders: ["libx265"], found: "hevc", container: ".mov", bits: [8, 10]),
        Codec(name: "av1", encoders: ["libsvtav1", "libaom-av1"], found: "av1", container: ".mkv", bits: [8, 10]),
        Codec(name: "prores", encoders: ["prores_ks"], found: "prores", container: ".mov", bits: [10]),
        Codec(name: "ffv1", encoders: ["ffv1"], found: "ffv1", container: ".mkv", bits: [8, 10, 16]),
        Codec(name: "png", encoders: ["png"], found: "png", container: "", bits: [8, 16]),
    ]
    private static let restore = [
        "restore", "--model", "tiny", "--timesteps", "1", "--blur-sigma", "1", "--noise", "0.01",
    ]

    /// What a codec cannot store is refused before the work, and what it can is in the file.
    @Test(arguments: codecs.filter { $0.encoders.contains(where: isInstalled(encoder:)) }, [8, 10, 16])
    func storesItsBits(_ codec: Codec, bits: Int) async throws {
        // The smallest that SVT-AV1 takes.
        try await place.clip("in.mp4", frames: 3, size: "96x64")
        let (output, before) = ("out" + codec.container, try place.snapshot())
        let outcome = try await place.visionxl(
            Self.restore + ["in.mp4", "-o", output, "--codec", codec.name, "--bits", "\(bits)", "--window", "2"])
        guard codec.bits.contains(bits) else {
            expectOneSentence(outcome, containing: ["stores", "not \(bits)"])
            #expect(try place.snapshot() == before)
            return
        }
        try #require(outcome.succeeded, "\(outcome)")
        let file = codec.container.isEmpty ? output + "/000000.png" : output
        let found = try await place.probe(file, "codec_name,pix_fmt").split(separator: ",")
        #expect(found.first.map(String.init) == codec.found)
        let format = String(found.last ?? "")
        switch bits {
        case 8: #expect(["bgr0", "rgb24", "yuv420p", "yuv444p"].contains(format), "\(format)")
        case 10: #expect(format.hasSuffix("10le"), "\(format)")
        default: #expect(format.hasSuffix("16le") || format == "rgb48be", "\(format)")
        }
        #expect(try await place.frames(output).count == 3)
        // The same picture, whatever stores it.
        #expect(try await place.psnr("in.mp4", output) > 15)
    }

    /// Chapters with their names and times, into another container, in one piece and in segments.
    @Test(arguments: [("in.mkv", "out.mp4"), ("in.mp4", "out.mkv")], [25, 3])
    func keepsChapters(files: (String, String), window: Int) async throws {
        try await place.clip("clip.mp4", frames: 8)
        try place.write(
            ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/100\nSTART=0\nEND=12\ntitle=The beginning\n"
                + "[CHAPTER]\nTIMEBASE=1/100\nSTART=12\nEND=32\ntitle=The end\n", to: "chapters.txt")
        try await place.tool(
            "ffmpeg",
            [
                "-v", "error", "-nostdin", "-i", "clip.mp4", "-i", "chapters.txt", "-map_metadata", "1", "-c", "copy",
                files.0,
            ])
        let outcome = try await place.visionxl(
            Self.restore + [files.0, "-o", files.1, "--window", "\(window)", "--context", "0", "--scenes", "off"])
        try #require(outcome.succeeded, "\(outcome)")
        func chapters(_ file: String) async throws -> [[String]] {
            try await place.tool(
                "ffprobe",
                [
                    "-v", "error", "-show_entries", "chapter=start_time,end_time:chapter_tags=title", "-of", "csv=p=0",
                    file,
                ]
            ).split(separator: "\n").map { $0.split(separator: ",").map(String.init) }
        }
        let (before, after) = (try await chapters(files.0), try await chapters(files.1))
        #expect(before.map(\.last) == ["The beginning", "The end"])
        #expect(before == after)
        let without = try await place.visionxl(
            Self.restore + [files.0, "-o", "without.mkv", "--no-chapters", "--scenes", "off"])
        #expect(without.succeeded)
        #expect(try await chapters("without.mkv").isEmpty)
    }

    /// Numbers of a part of the first frame, 8 bits of red, green and blue.
    private func colours(_ file: String, _ crop: String) async throws -> [Double] {
        try await place.tool(
            "ffmpeg",
            [
                "-v", "error", "-nostdin", "-y", "-i", file, "-vf", "crop=\(crop),format=rgb24", "-frames:v", "1", "-f",
                "rawvideo", "part.rgb",
            ])
        let bytes = [UInt8](try place.data("part.rgb"))
        return (0..<3).map { channel in
            let values = stride(from: channel, to: bytes.count, by: 3).map { Double(bytes[$0]) }
            return values.reduce(0, +) / Double(values.count)
        }
    }

    /// Full range, tagged and in JPEG frames: the colour of each bar is ffmpeg's.
    @Test(arguments: ["in.mp4", "in.avi"]) func keepsTheColoursOfFullRange(name: String) async throws {
        let codec =
            name.hasSuffix("avi")
            ? ["-c:v", "mjpeg", "-q:v", "2"]
            : ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-color_range", "pc"]
        try await place.tool(
            "ffmpeg",
            ["-v", "error", "-nostdin", "-f", "lavfi", "-i", "smptebars=size=160x96:rate=25:duration=0.12"]
                + ["-vf", "scale=out_range=pc,format=yuvj420p"] + codec + [name])
        let outcome = try await place.visionxl("restore", name, "-o", "out.mp4", "--speed", "fast")
        try #require(outcome.succeeded, "\(outcome)")
        #expect(try await place.probe("out.mp4", "color_range") == "pc")
        for bar in 0..<6 {
            let crop = "12:40:\(bar * 24 + 6):12"
            let (before, after) = (try await colours(name, crop), try await colours("out.mp4", crop))
            #expect(zip(before, after).allSatisfy { abs($0 - $1) < 2.5 }, "bar \(bar): \(before), \(after)")
        }
    }

    /// Black bars stay black, with the noise that the program finds for itself.
    @Test(arguments: [[], ["--blur-sigma", "1"]]) func keepsBarsBlack(options: [String]) async throws {
        try await place.tool(
            "ffmpeg",
            ["-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=160x60:rate=25:duration=0.12", "-vf"]
                + ["format=gbrp,pad=160:96:0:18:black\(options.isEmpty ? "" : ",gblur=sigma=1"),format=yuv420p"]
                + ["-c:v", "libx264", "-preset", "ultrafast", "in.mp4"])
        let outcome = try await place.visionxl(
            ["restore", "in.mp4", "-o", "out.mkv", "--speed", "fast", "--noise", "auto"] + options)
        try #require(outcome.succeeded, "\(outcome)")
        for crop in ["160:14:0:0", "160:14:0:82"] {
            let means = try await colours("out.mkv", crop)
            #expect(means.allSatisfy { $0 < 2 }, "\(means)")
        }
    }

    /// Smaller than a kernel, a tile or the network's stride.
    @Test(arguments: ["8x8", "16x12", "2x96", "1x1"]) func smallFrames(size: String) async throws {
        try await place.tool(
            "ffmpeg",
            ["-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25:duration=0.08", "-vf"]
                + [
                    "scale=\(size.replacingOccurrences(of: "x", with: ":")),setsar=1,format=rgb24", "-c:v", "png",
                    "in.mov",
                ])
        for options in [["--blur-sigma", "1"], ["--scale", "2"], ["--task", "inpaint+"], ["--average", "3"]] {
            let outcome = try await place.visionxl(
                ["restore", "in.mov", "-o", "out", "--force", "--speed", "fast"] + options)
            // Of a single pixel there is nothing to halve, and no window of a blur.
            guard outcome.succeeded else {
                #expect(size == "1x1", "\(options): \(outcome)")
                expectOneSentence(outcome)
                continue
            }
            #expect(try await place.frames("out").count == 2)
        }
    }
}
