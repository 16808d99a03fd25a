import Foundation
import TestSupport
import Testing

@testable import VideoIO

/// Where scenes begin, in clips of ffmpeg's generators and in real footage.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct SceneTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder("scenes") }

    /// Pieces of generated pictures one after the other, each of so many frames, and what befalls the whole.
    private func film(_ pieces: [(source: String, frames: Int)], then filter: String = "null") async throws -> SceneScan
    {
        let path = folder.file("film.mkv")
        var arguments: [String] = []
        for piece in pieces { arguments += ["-f", "lavfi", "-i", "\(piece.source)"] }
        let cut = pieces.enumerated().map { index, piece in
            "[\(index):v]trim=end_frame=\(piece.frames),scale=96:64,setsar=1,format=gbrp[v\(index)]"
        }
        let names = pieces.indices.map { "[v\($0)]" }.joined()
        let graph = (cut + ["\(names)concat=n=\(pieces.count),\(filter)[out]"]).joined(separator: ";")
        try await ffmpeg(arguments + ["-filter_complex", graph, "-map", "[out]", "-c:v", "ffv1", "file:" + path])
        return try await VideoReader(path).scanned()
    }

    private static let test = "testsrc2=size=96x64:rate=25"
    private static let bars = "smptebars=size=96x64:rate=25"
    private static let spectrum = "rgbtestsrc=size=96x64:rate=25"
    private static let ramp = "gradients=size=96x64:rate=25:seed=7:speed=0.01"

    @Test func cutsAreFoundAndFramesCounted() async throws {
        let scan = try await film([(Self.test, 9), (Self.bars, 4), (Self.spectrum, 12), (Self.test, 5)])
        #expect(scan == SceneScan(frameCount: 30, cuts: [9, 13, 25]))
    }

    /// However short a scene is: one frame between two others, several of them in a row, at the start and at the end.
    @Test func scenesOfOneFrame() async throws {
        #expect(try await film([(Self.test, 6), (Self.bars, 1), (Self.spectrum, 6)]).cuts == [6, 7])
        #expect(
            try await film([(Self.test, 6), (Self.bars, 1), (Self.spectrum, 1), (Self.ramp, 6)]).cuts == [6, 7, 8])
        #expect(try await film([(Self.bars, 1), (Self.test, 6)]).cuts == [1])
        #expect(try await film([(Self.test, 6), (Self.bars, 1)]).cuts == [6])
        #expect(try await film([(Self.test, 1), (Self.bars, 1)]).cuts == [1])
    }

    /// A flash whose two sides match is no cut, wherever and however often it comes; beside a cut it hides none.
    @Test(arguments: [
        "eq(n,5)", "between(n,5,6)", "between(n,5,7)", "eq(n,1)", "mod(n,2)", "not(mod(n,3))", "eq(n,5)+eq(n,8)",
    ])
    func flashes(when: String) async throws {
        let white = "drawbox=color=white:thickness=fill:enable='\(when)'"
        #expect(try await film([(Self.test, 14)], then: white).cuts.isEmpty)
    }

    @Test func aFlashBesideACut() async throws {
        let white = "drawbox=color=white:thickness=fill:enable='eq(n,4)'"
        #expect(try await film([(Self.test, 8), (Self.bars, 8)], then: white).cuts == [8])
    }

    @Test func slowChangesAreNoCuts() async throws {
        #expect(try await film([(Self.bars, 30)], then: "fade=in:0:12,fade=out:18:12").cuts.isEmpty)
        let pan = "scale=960:640,crop=96:64:'n*14':'n*6'"
        #expect(try await film([(Self.test, 40)], then: pan).cuts.isEmpty)
        #expect(try await film([(Self.ramp, 20)]).cuts.isEmpty)
    }

    /// A part is counted from its own first frame, and neither a black film nor a single frame has a scene more.
    @Test func partsAndEnds() async throws {
        _ = try await film([(Self.test, 9), (Self.bars, 4), (Self.spectrum, 7)])
        let reader = try await VideoReader(folder.file("film.mkv"))
        #expect(try await reader.scanned(5..<15) == SceneScan(frameCount: 10, cuts: [4, 8]))
        #expect(try await reader.scanned(9..<13) == SceneScan(frameCount: 4, cuts: []))
        #expect(try await reader.scanned(3..<3) == SceneScan(frameCount: 0, cuts: []))
        #expect(try await film([("color=black:size=96x64", 12)]) == SceneScan(frameCount: 12, cuts: []))
        #expect(try await film([(Self.test, 1)]) == SceneScan(frameCount: 1, cuts: []))
    }

    /// Pictures are looked at as a film's frames are.
    @Test func folders() async throws {
        let pictures = folder.file("pictures")
        try FileManager.default.createDirectory(atPath: pictures, withIntermediateDirectories: false)
        _ = try await film([(Self.test, 4), (Self.bars, 3)])
        try await ffmpeg(["-i", folder.file("film.mkv"), "file:" + pictures + "/%03d.png"])
        #expect(try await VideoReader(pictures).scanned() == SceneScan(frameCount: 7, cuts: [4]))
        #expect(try await VideoReader(pictures).scanned(3..<6) == SceneScan(frameCount: 3, cuts: [1]))
    }

    /// What breaks off is refused here, before any work.
    @Test func brokenFiles() async throws {
        let path = folder.file("cut.mp4")
        try await makeClip(path, frames: 60, extra: ["-movflags", "+faststart"])
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        try data.prefix(data.count * 6 / 10).write(to: URL(fileURLWithPath: path))
        await #expect(throws: VideoError.self) { try await VideoReader(path).scanned() }
    }

    static let clips = projectRoot.deletingLastPathComponent().appendingPathComponent("shared/clips").path
    static let landscape = clips + "/landscape_1280x768.mp4"
    static let blocks = clips + "/blocks_1280x720.mp4"

    /// Real footage: nothing inside a clip, and each place where two were joined.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: blocks), "the shared clips are not here"))
    func realFootage() async throws {
        #expect(try await VideoReader(Self.landscape).scanned() == SceneScan(frameCount: 25, cuts: []))
        let blocks = try await VideoReader(Self.blocks).scanned(0..<120)
        #expect(blocks == SceneScan(frameCount: 120, cuts: []))
        let path = folder.file("joined.mkv")
        let graph =
            "[0:v]trim=end_frame=8,scale=320:180,setsar=1[a];[1:v]trim=end_frame=3,scale=320:180,setsar=1[b];"
            + "[0:v]trim=start_frame=200:end_frame=201,setpts=0,scale=320:180,setsar=1[c];"
            + "[1:v]trim=start_frame=10:end_frame=20,setpts=PTS-STARTPTS,scale=320:180,setsar=1[d];[a][b][c][d]concat=n=4,setpts=N/25/TB[out]"
        try await ffmpeg(
            [
                "-i", Self.blocks, "-i", Self.landscape, "-filter_complex", graph, "-map", "[out]", "-fps_mode",
                "passthrough",
            ]
                + ["-c:v", "libx264", "-crf", "18", "file:" + path])
        #expect(try await VideoReader(path).scanned() == SceneScan(frameCount: 22, cuts: [8, 11, 12]))
    }

    /// Differences are those of hue around its circle, saturation and value.
    @Test func differences() {
        func difference(_ a: [UInt8], _ b: [UInt8]) -> Double {
            SceneDetector.difference(SceneDetector.hueSaturationValue(a), SceneDetector.hueSaturationValue(b))
        }
        #expect(
            SceneDetector.hueSaturationValue([255, 0, 0, 0, 128, 0, 64, 64, 255]) == [
                0, 255, 255, 60, 255, 128, 120, 191, 255,
            ])
        #expect(difference([200, 100, 100], [200, 100, 100]) == 0)
        #expect(difference([255, 255, 255], [0, 0, 0]) == 85)
        // Either side of red.
        #expect(difference([255, 0, 8], [255, 8, 0]) < 1)
        // What colour black has is nobody's business.
        #expect(difference([0, 0, 4], [4, 0, 0]) == 0)
    }
}
