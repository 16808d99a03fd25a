import Foundation
import TestSupport
import Testing

@testable import VideoIO

/// Flat colours through files, against the textbook formula.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg))
struct ColourTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    struct Tagging: Sendable, CustomTestStringConvertible {
        var matrix: String?
        var range: String?
        var red: Double
        var blue: Double
        var height = 32
        var pixelFormat = "yuv420p"
        var testDescription: String { "\(matrix ?? "untagged") \(range ?? "untagged") \(height) \(pixelFormat)" }
    }

    static let taggings = [
        Tagging(matrix: "bt709", range: "tv", red: 0.2126, blue: 0.0722),
        Tagging(matrix: "bt709", range: "pc", red: 0.2126, blue: 0.0722),
        Tagging(matrix: "smpte170m", range: "tv", red: 0.299, blue: 0.114),
        Tagging(matrix: "bt470bg", range: "pc", red: 0.299, blue: 0.114),
        Tagging(matrix: "bt2020nc", range: "tv", red: 0.2627, blue: 0.0593),
        Tagging(matrix: "bt709", range: "pc", red: 0.2126, blue: 0.0722, pixelFormat: "yuv444p"),
        Tagging(matrix: nil, range: nil, red: 0.299, blue: 0.114),
        Tagging(matrix: nil, range: nil, red: 0.2126, blue: 0.0722, height: 720),
    ]

    @Test(arguments: taggings) func flatColourDecodesToTheFormula(tagging: Tagging) async throws {
        // 235 is white of limited range: the value that a wrong gain shows first.
        for code in [(120, 100, 150), (235, 128, 128), (200, 90, 160)] {
            let path = folder.file("\(code.0).mkv")
            try await makeFlat(path, code, tagging)
            let frame = try #require(try await allFrames(VideoReader(path).frames()).first)
            let expected = rgb(code, tagging)
            for (value, wanted) in zip(colour(frame, x: 8, y: 8), expected) {
                #expect(abs(value - wanted) < 0.1 / 255, "\(code)")
            }
        }
    }

    @Test func scalerStandsInForZscaleWithinOneStep() async throws {
        let tagging = Self.taggings[0]
        let path = folder.file("flat.mkv")
        try await makeFlat(path, (235, 128, 128), tagging)
        let info = try await VideoReader.probe(path)
        let filters = ColourConversion(hasZscale: false).toRGB(info, matrix: .bt709).joined(separator: ",")
        let output = try await FFmpeg.collect(
            "ffmpeg", FFmpeg.quietly + ["-i", path, "-vf", filters, "-f", "rawvideo", "pipe:1"], limit: 1 << 20
        ).output
        let white = Double(Int(output[0]) + Int(output[1]) << 8) / 65535
        #expect(abs(white - 1) < 1.0 / 255)
    }

    @Test func oddSizedChromaIsDecoded() async throws {
        // MJPEG may have halved chroma and odd sides, which libzimg refuses.
        let path = folder.file("odd.avi")
        try await ffmpeg(
            ["-f", "lavfi", "-i", "color=c=0x808080:size=33x17,format=rgb24", "-frames:v", "2", "-c:v", "mjpeg"]
                + ["-pix_fmt", "yuvj420p", "-q:v", "1", path])
        let frames = try await allFrames(VideoReader(path).frames())
        try #require(frames.count == 2 && frames[0].width == 33 && frames[0].height == 17)
        for value in colour(frames[0], x: 32, y: 16) { #expect(abs(value - 128.0 / 255) < 1.5 / 255) }
    }

    @Test func h264OfAFlatColourComesBack() async throws {
        for rgb in [[255, 255, 255], [0, 0, 0], [200, 100, 50]] as [[UInt8]] {
            let path = folder.file("\(rgb[0]).mp4")
            let values = (0..<32 * 32).flatMap { _ in rgb }
            try await write(
                [VideoFrame(width: 32, height: 32, pixels: .sixteenBit(values.map { UInt16($0) * 257 }))], to: path,
                encoding: .h264(quality: 1))
            let frame = try #require(try await allFrames(VideoReader(path).frames()).first)
            // Half a step of 8-bit YUV is at most this much of a component.
            for (value, wanted) in zip(colour(frame, x: 8, y: 8), rgb) {
                #expect(abs(value - Double(wanted) / 255) < 1.6 / 255)
            }
        }
    }

    @Test func matrixThatCannotBeConvertedIsNamed() async throws {
        let path = folder.file("flat.mkv")
        try await makeFlat(path, (120, 128, 128), Tagging(matrix: "ycgco", range: "tv", red: 0, blue: 0))
        #expect(await videoError { _ = try await VideoReader(path) } == .unsupportedColour(path, matrix: "ycgco"))
    }

    /// Lossless video of one YUV value.
    private func makeFlat(_ path: String, _ code: (Int, Int, Int), _ tagging: Tagging) async throws {
        var arguments = ["-f", "lavfi", "-i", "color=size=32x\(tagging.height):rate=25,format=\(tagging.pixelFormat)"]
        arguments += ["-vf", "lutyuv=y=\(code.0):u=\(code.1):v=\(code.2)", "-frames:v", "1", "-c:v", "ffv1"]
        if let matrix = tagging.matrix { arguments += ["-colorspace", matrix] }
        if let range = tagging.range { arguments += ["-color_range", range] }
        try await ffmpeg(arguments + [path])
    }

    private func rgb(_ code: (Int, Int, Int), _ tagging: Tagging) -> [Double] {
        let full = tagging.range == "pc"
        let y = full ? Double(code.0) / 255 : Double(code.0 - 16) / 219
        let cb = Double(code.1 - 128) / (full ? 255 : 224)
        let cr = Double(code.2 - 128) / (full ? 255 : 224)
        let r = y + 2 * (1 - tagging.red) * cr
        let b = y + 2 * (1 - tagging.blue) * cb
        let g = (y - tagging.red * r - tagging.blue * b) / (1 - tagging.red - tagging.blue)
        return [r, g, b].map { min(1, max(0, $0)) }
    }
}
