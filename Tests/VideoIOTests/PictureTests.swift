import Foundation
import TestSupport
import Testing

@testable import VideoIO

@Suite struct NamingTests {
    @Test func numbersSortByTheirValue() {
        let sorted = ["frame1.png", "frame2.png", "frame10.png", "frame010b.png", "g.png"]
        #expect(sorted.reversed().sorted(by: Pictures.naturallyBefore) == sorted)
        #expect(Pictures.naturallyBefore("7", "007") != Pictures.naturallyBefore("007", "7"))
        #expect(Pictures.naturallyBefore("99999999999999999998", "99999999999999999999"))
        #expect(!Pictures.naturallyBefore("a", "a"))
    }

    @Test func holesAndSecondSeriesAreNamed() {
        func notes(_ names: String...) -> [String] { Pictures.notes(names.map { "/a/" + $0 }) }
        #expect(notes("1.png", "2.png", "3.jpg").isEmpty && notes("x.png", "y.png").isEmpty && notes("7.png").isEmpty)
        #expect(notes("shot2_001.png", "shot2_002.png").isEmpty)
        let holes = notes("f0000.png", "f0001.png", "f0002.png", "f0005.png", "f0006.png", "f0009.png")
        #expect(holes.count == 1 && holes[0].contains("f#: 3, 4, 7, 8 (4 of 10)"), "\(holes)")
        let two = notes("a_000.png", "a_001.png", "b_000.png", "b_001.png", "cover.png")
        #expect(two.count == 1 && two[0].contains("a_# (2), then b_# (2)"), "\(two)")
        #expect(notes("1.png", "99999999999999999999.png", "3.png").count == 1)
    }

    @Test func ratesAreExact() throws {
        #expect(FrameRate("24000/1001")?.description == "24000/1001")
        #expect(FrameRate("50/2") == .fps25 && FrameRate("25") == .fps25)
        for bad in ["0/0", "25/0", "-25", "", "x", "1/2/3", "/"] { #expect(FrameRate(bad) == nil) }
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(FrameRate.self, from: Data("\"0/0\"".utf8)) }
    }

    @Test func brokenPPMIsNil() {
        for text in ["", "P6", "P6\n2 2\n255\n", "P6\n1 1\n255\nabcd", "P5\n1 1\n255\na", "P6\n-1 1\n255\n"] {
            #expect(Pictures.readPPM(Array(text.utf8)) == nil)
        }
        #expect(Pictures.readPPM(Array("P6\n1 1\n255\nabc".utf8))?.pixels == .eightBit([97, 98, 99]))
    }
}

@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg))
struct PictureTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    private func makePicture(
        _ name: String, colour: String, size: String = "16x16", format: String = "rgb24"
    ) async throws {
        try await ffmpeg(
            ["-f", "lavfi", "-i", "color=c=\(colour):size=\(size)", "-frames:v", "1", "-pix_fmt", format]
                + ["-update", "1", "-f", "image2", "-c:v", name.hasSuffix("png") ? "png" : "mjpeg", "-q:v", "1"]
                + ["file:" + folder.file("temporary")])
        try FileManager.default.moveItem(atPath: folder.file("temporary"), toPath: folder.file(name))
    }

    @Test func foldersAreReadInNaturalOrder() async throws {
        for (name, colour) in [
            ("f10 %03d.png", "blue"), ("f2's.png", "lime"), ("-f1.png", "red"), (".hidden.png", "white"),
        ] {
            try await makePicture(name, colour: colour)
        }
        try Data("no picture".utf8).write(to: URL(fileURLWithPath: folder.file("notes.txt")))
        let reader = try await VideoReader(folder.path, pictureRate: #require(FrameRate(30000, 1001)))
        #expect(reader.info.frameCount == 3 && reader.info.frameRate == FrameRate(30000, 1001))
        let colours = try await allFrames(reader.frames()).map { colour($0, x: 3, y: 3) }
        #expect(colours.map { $0.map { $0.rounded() } } == [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    }

    @Test func formatsMayMix() async throws {
        try await makePicture("1.jpg", colour: "white", format: "yuvj420p")
        try await makePicture("2.png", colour: "white", format: "rgb48be")
        try await makePicture("3.png", colour: "white", format: "gray")
        try await makePicture("4.png", colour: "white", format: "rgba")
        let frames = try await allFrames(VideoReader(folder.path).frames())
        #expect(frames.map(\.bitDepth) == [8, 16, 8, 8])
        for frame in frames { #expect(colour(frame, x: 15, y: 15).allSatisfy { $0 > 0.99 }) }
    }

    @Test func singlePictureIsAVideoOfOneFrame() async throws {
        try await makePicture("a%d.png", colour: "red", size: "20x10")
        let reader = try await VideoReader(folder.file("a%d.png"))
        #expect(reader.info.width == 20 && reader.info.height == 10 && reader.info.frameCount == 1)
        #expect(try await allFrames(reader.frames()).count == 1)
    }

    @Test func picturesOfDifferentSizesAreNamed() async throws {
        try await makePicture("1.png", colour: "red", size: "20x10")
        // As many pixels, so only the shape tells.
        try await makePicture("2.png", colour: "red", size: "10x20")
        let reader = try await VideoReader(folder.path)
        let error = await videoError { _ = try await allFrames(reader.frames()) }
        #expect(error == .mixedPictureSizes(folder: folder.path, first: "20x10", other: "2.png is 10x20"))
    }

    @Test func brokenPictureIsNamed() async throws {
        try await ffmpeg(["-f", "lavfi", "-i", "testsrc2=size=64x64", "-frames:v", "2", folder.file("%d.png")])
        let second = folder.file("2.png")
        let whole = try #require(FileManager.default.contents(atPath: second))
        try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: second))
        let reader = try await VideoReader(folder.path)
        guard case .notAVideo(second, _) = await videoError({ _ = try await allFrames(reader.frames()) }) else {
            Issue.record("not refused")
            return
        }
        #expect(try await allFrames(reader.frames(0..<1)).count == 1)
        #expect(
            await videoError { _ = try await allFrames(reader.frames(1..<3)) }
                == .frameRangeOutside(folder.path, range: 1..<3, count: 2))
    }
}
