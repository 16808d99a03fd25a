import Foundation
import TestSupport
import Testing

/// A part of the picture, and programs that hand video to each other.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct PipeTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    private static let quick = [
        "--model", "tiny", "--steps", "5", "--tau", "0.5", "--dtype", "float32", "--blur-sigma", "1", "--noise", "0.01",
    ]

    /// y4m in and out gives the frames that files give.
    @Test func fromAndToOtherPrograms() async throws {
        try await place.clip("in.mkv", frames: 3)
        try await place.tool(
            "ffmpeg", ["-v", "error", "-nostdin", "-i", "in.mkv", "-pix_fmt", "yuv444p", "in.y4m"])
        let fromFile = try await place.visionxl(["restore", "in.y4m", "-o", "file.y4m"] + Self.quick)
        #expect(fromFile.succeeded, "\(fromFile)")
        let script = "\"$0\" restore - -o - \(Self.quick.joined(separator: " ")) < in.y4m > pipe.y4m"
        let piped = try await place.visionxl(["unused"], through: ["sh", "-c", script])
        #expect(piped.succeeded && piped.messages.contains("standard output: 3 frames"), "\(piped)")
        #expect(try place.data("pipe.y4m") == place.data("file.y4m"))
        #expect(try await place.probe("pipe.y4m", "codec_name,width,height,pix_fmt") == "rawvideo,64,48,yuv420p")
        let empty = "\"$0\" restore - -o out.mkv < /dev/null"
        expectOneSentence(
            try await place.visionxl(["unused"], through: ["sh", "-c", empty]), containing: ["standard input"])
        #expect(!place.exists("out.mkv"))
    }

    /// A crop is the part that a filter of ffmpeg gives, and a mask of the whole frame is cropped with it.
    @Test func aPartOfThePicture() async throws {
        try await place.clip("in.mkv", frames: 2)
        try await place.tool(
            "ffmpeg",
            [
                "-v", "error", "-nostdin", "-i", "in.mkv", "-vf", "format=gbrp16le,crop=31:24:5:9", "-c:v", "ffv1",
                "part.mkv",
            ])
        let cropped = try await place.visionxl(
            ["restore", "in.mkv", "-o", "a.mkv", "--crop", "31x24+5+9", "--bits", "16"] + Self.quick)
        let alone = try await place.visionxl(["restore", "part.mkv", "-o", "b.mkv", "--bits", "16"] + Self.quick)
        #expect(cropped.succeeded && alone.succeeded, "\(cropped) \(alone)")
        #expect(try await place.probe("a.mkv", "width,height") == "31,24")
        // ffmpeg's other way to RGB differs by a step of 8 bits at most.
        #expect(try await place.psnr("a.mkv", "b.mkv") > 40)
        try await place.tool(
            "ffmpeg",
            ["-v", "error", "-nostdin", "-f", "lavfi", "-i", "color=white:size=64x48", "-frames:v", "1"]
                + ["-vf", "format=gray,drawbox=x=10:y=12:w=8:h=8:color=black:t=fill", "mask.png"])
        let masked = try await place.visionxl(
            ["restore", "in.mkv", "-o", "c.mkv", "--crop", "32x24+8+10", "--mask", "mask.png"] + Self.quick)
        // 64 of 768 pixels.
        #expect(masked.succeeded && masked.messages.contains("8.3 % of the pixels are holes"), "\(masked)")
        for (crop, words) in [
            ("65x48+0+0", ["frames of 64x48", "65x48+0+0 does not lie in them"]),
            ("32x24+40+0", ["frames of 64x48", "32x24+40+0 does not lie in them"]),
            ("0x4+1+1", ["'0x4+1+1' is invalid", "--crop <WxH+X+Y>"]), ("4x4", ["'4x4' is invalid"]),
            ("x", ["'x' is invalid"]),
        ] {
            expectOneSentence(
                try await place.visionxl(["restore", "in.mkv", "-o", "d.mkv", "--crop", crop] + Self.quick),
                containing: words)
        }
        #expect(!place.exists("d.mkv"))
    }
}
