import Foundation
import TestSupport
import Testing

@testable import VideoIO

@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg))
struct WritingTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    @Test(arguments: [8, 16], [(32, 16), (17, 13)]) func losslessIsBitExact(
        bitDepth: Int, size: (Int, Int)
    ) async throws {
        let frames = try (0..<4).map {
            try patternFrame(width: size.0, height: size.1, bitDepth: bitDepth, seed: $0 * 1000)
        }
        for name in ["clip.mkv", "pictures/"] {
            let path = folder.file(name)
            try await write(frames, to: path)
            let reader = try await VideoReader(path)
            #expect(reader.info.isRGB)
            #expect(reader.info.bitDepth == bitDepth)
            #expect(try await allFrames(reader.frames()) == frames)
            #expect(try await allFrames(reader.frames(1..<3)) == Array(frames[1..<3]))
        }
        #expect(folder.contents == ["clip.mkv", "pictures"])
    }

    @Test(arguments: [8, 16]) func h264IsCloseOnASmoothPicture(bitDepth: Int) async throws {
        let (width, height) = (128, 96)
        let values = (0..<width * height * 3).map { i -> Double in
            let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3)
            return 0.5 + 0.4 * sin(Double(x) / 25 + Double(c)) * cos(Double(y) / 31)
        }
        let frame = try VideoFrame(
            width: width, height: height,
            pixels: bitDepth == 8
                ? .eightBit(values.map { UInt8(($0 * 255).rounded()) })
                : .sixteenBit(values.map { UInt16(($0 * 65535).rounded()) }))
        let path = folder.file("clip.mp4")
        try await write([frame, frame, frame], to: path, encoding: .h264(quality: 4))
        let decoded = try await allFrames(VideoReader(path).frames())
        #expect(decoded.count == 3)
        for result in decoded { #expect(psnr(frame, result) > 40) }
    }

    @Test func h264IsTaggedAndKeepsTheRate() async throws {
        let path = folder.file("clip.mp4")
        let rate = try #require(FrameRate(24000, 1001))
        let frames = try (0..<5).map { try patternFrame(width: 32, height: 32, bitDepth: 8, seed: $0) }
        try await write(frames, to: path, rate: rate)
        let info = try await VideoReader.probe(path)
        #expect(info.frameRate == rate && info.frameCount == 5)
        #expect(info.pixelFormat == "yuv420p" && info.colour == .bt709)
        let lossless = folder.file("clip.mkv")
        try await write(frames, to: lossless, rate: rate)
        #expect(try await VideoReader.probe(lossless).frameRate == rate)
    }

    @Test func oddSizesLoseNoPixel() async throws {
        let path = folder.file("odd.mp4")
        try await write([patternFrame(width: 35, height: 21, bitDepth: 8)], to: path)
        let info = try await VideoReader.probe(path)
        #expect(info.width == 35 && info.height == 21 && info.pixelFormat == "yuv444p")
    }

    @Test func fullChromaIsCloserThanHalf() async throws {
        let frame = try patternFrame(width: 32, height: 32, bitDepth: 8)
        let (half, full) = (folder.file("half.mp4"), folder.file("full.mp4"))
        try await write([frame], to: half, encoding: .h264(quality: 1))
        try await write([frame], to: full, encoding: .h264(quality: 1, fullChroma: true))
        let results = [
            try await allFrames(VideoReader(half).frames())[0], try await allFrames(VideoReader(full).frames())[0],
        ]
        #expect(psnr(frame, results[1]) > psnr(frame, results[0]) + 5)
    }

    @Test(arguments: [
        "a b", "it's \"it\"", "-dash", "100%03d", "file:colon|pipe", "[x];*?", "ü", ".hidden", "two.dots",
    ])
    func strangeNamesAreSafe(name: String) async throws {
        let frames = try (0..<3).map { try patternFrame(width: 16, height: 16, bitDepth: 8, seed: $0) }
        for file in [name + ".mp4", name + ".mkv", name + "/"] {
            let path = folder.file(file)
            try await write(frames, to: path)
            #expect(try await VideoReader(path).info.width == 16)
            #expect(try await allFrames(VideoReader(path).frames()).count == 3)
        }
        #expect(folder.contents == [name, name + ".mkv", name + ".mp4"].sorted())
    }

    @Test func relativeNamesWithADashAreSafe() async throws {
        // The working folder is shared by all tests, so only a name that is relative to it is tried, not a change of it.
        let name = "-videoio-\(UUID().uuidString).mkv"
        defer { try? FileManager.default.removeItem(atPath: name) }
        let frame = try patternFrame(width: 16, height: 16, bitDepth: 8)
        try await write([frame], to: name)
        #expect(try await allFrames(VideoReader(name).frames()) == [frame])
    }

    @Test func aPictureIsReplacedOnlyWhenAsked() async throws {
        let path = folder.file("picture.png")
        let (old, new) = (
            try patternFrame(width: 16, height: 16, bitDepth: 8), try patternFrame(width: 32, height: 32, bitDepth: 16)
        )
        try await old.writePNG(to: path)
        #expect(await videoError { try await new.writePNG(to: path) } == .targetExists(path))
        #expect(try await allFrames(VideoReader(path).frames()) == [old])
        try await new.writePNG(to: path, overwrite: true)
        #expect(try await allFrames(VideoReader(path).frames()) == [new])
        #expect(folder.contents == ["picture.png"])
    }

    @Test(arguments: ["clip.mp4", "pictures/"]) func existingTargetIsRefused(name: String) async throws {
        let path = folder.file(name)
        let (old, new) = (
            try patternFrame(width: 16, height: 16, bitDepth: 8), try patternFrame(width: 32, height: 32, bitDepth: 8)
        )
        try await write([old], to: path)
        let before = try stamp(path)
        #expect(await videoError { try await write([new], to: path) } == .targetExists(path.trimmedSlash))
        #expect(try stamp(path) == before)
        try await write([new, new], to: path, overwrite: true)
        let reader = try await VideoReader(path)
        #expect(reader.info.width == 32 && reader.info.frameCount == 2)
        #expect(folder.contents == [name.trimmedSlash])
    }

    /// A file would take the place of a pipe that somebody reads.
    @Test(arguments: [false, true]) func aPipeStays(overwrite: Bool) async throws {
        let path = folder.file("pipe.mkv")
        #expect(mkfifo(path, 0o600) == 0)
        let frame = try patternFrame(width: 16, height: 16, bitDepth: 8)
        let error = await videoError { try await write([frame], to: path, overwrite: overwrite) }
        #expect("\(try #require(error))".contains("it is a pipe or a device; write to -"))
        var info = stat()
        #expect(lstat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFIFO)
        #expect(folder.contents == ["pipe.mkv"])
    }

    @Test func targetThatAppearsMeanwhileIsKept() async throws {
        let path = folder.file("clip.mkv")
        let frame = try patternFrame(width: 16, height: 16, bitDepth: 8)
        let writer = try await VideoWriter(to: path, width: 16, height: 16, bitDepth: 8, frameRate: .fps25)
        try await writer.append(frame)
        try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
        #expect(await videoError { try await writer.finish() } == .targetExists(path))
        #expect(FileManager.default.contents(atPath: path) == Data("precious".utf8))
        #expect(folder.contents == ["clip.mkv"])
    }

    @Test func foldersOfOtherFilesAreNeverReplaced() async throws {
        let path = folder.file("documents")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try Data("mine".utf8).write(to: URL(fileURLWithPath: path + "/holiday.png"))
        let frame = try patternFrame(width: 16, height: 16, bitDepth: 8)
        guard case .unsupportedTarget = await videoError({ try await write([frame], to: path, overwrite: true) }) else {
            Issue.record("not refused")
            return
        }
        #expect(FileManager.default.fileExists(atPath: path + "/holiday.png"))
    }

    @Test func unsuitableTargetsAreNamed() async throws {
        let frame = try patternFrame(width: 16, height: 16, bitDepth: 8)
        for (path, encoding) in [
            (folder.file("clip.avi"), nil), (folder.file("clip.mp4"), VideoEncoding.ffv1),
            (folder.file("clip.mp4"), .h264(quality: 99)),
        ] {
            guard case .unsupportedTarget = await videoError({ try await write([frame], to: path, encoding: encoding) })
            else {
                Issue.record("\(path) was not refused")
                continue
            }
        }
        for path in [folder.file("no/such/clip.mp4"), "/proc/clip.mp4", "/proc/pictures/"] {
            guard case .cannotWrite = await videoError({ try await write([frame], to: path) }) else {
                Issue.record("\(path) was not refused")
                continue
            }
        }
        #expect(folder.contents.isEmpty)
    }

    @Test func framesThatDoNotFitAreNamed() async throws {
        let path = folder.file("clip.mkv")
        let writer = try await VideoWriter(to: path, width: 16, height: 16, bitDepth: 8, frameRate: .fps25)
        for frame in [
            try patternFrame(width: 8, height: 32, bitDepth: 8), try patternFrame(width: 16, height: 16, bitDepth: 16),
        ] {
            guard case .badFrame = await videoError({ try await writer.append(frame) }) else {
                Issue.record("not refused")
                continue
            }
        }
        #expect(await videoError { try await writer.finish() } == .nothingWritten(path))
        #expect(await videoError { try await writer.finish() } == .writerClosed(path))
        #expect(throws: VideoError.self) { try VideoFrame(width: 2, height: 2, pixels: .eightBit([0])) }
        #expect(throws: VideoError.self) { try VideoFrame(width: .max, height: 2, pixels: .eightBit([0])) }
        #expect(folder.contents.isEmpty)
    }

    @Test func soundIsCarriedOver() async throws {
        let source = folder.file("source.mkv")
        let subtitles = folder.file("words.srt")
        try Data("1\n00:00:00,000 --> 00:00:00,400\nHello\n".utf8).write(to: URL(fileURLWithPath: subtitles))
        try await ffmpeg(
            [
                "-f", "lavfi", "-i", "testsrc2=size=32x32:rate=25", "-f", "lavfi", "-i", "sine", "-i", subtitles, "-t",
                "0.4",
            ]
                + ["-c:v", "libx264", "-c:a", "aac", source])
        let frames = try await allFrames(VideoReader(source).frames())
        #expect(frames.count == 10)
        for name in ["copy.mp4", "copy.mkv"] {
            try await write(frames, to: folder.file(name), encoding: .h264(), copyStreams: source)
            let info = try await VideoReader.probe(folder.file(name))
            #expect(info.hasAudio && info.hasSubtitles && info.width == 32)
        }
        let silent = folder.file("silent.mp4")
        try await makeClip(silent, frames: 2, size: "32x32")
        try await write(frames, to: folder.file("still silent.mp4"), copyStreams: silent)
        #expect(try await !VideoReader.probe(folder.file("still silent.mp4")).hasAudio)
    }

    @Test func soundThatStartsBeforeThePictureStaysInStep() async throws {
        let source = folder.file("late.mkv")
        try await ffmpeg(
            [
                "-f", "lavfi", "-i", "sine=duration=2", "-itsoffset", "0.5", "-f", "lavfi", "-i",
                "testsrc2=size=32x32:rate=25",
            ]
                + ["-t", "2", "-c:v", "ffv1", "-pix_fmt", "bgr0", "-c:a", "pcm_s16le", source])
        let delay = try await VideoReader.probe(source).startDelay
        #expect(abs(delay - 0.5) < 0.03)
        let frames = try await allFrames(VideoReader(source).frames())
        let copy = folder.file("copy.mkv")
        try await write(frames, to: copy, copyStreams: source)
        #expect(try await abs(VideoReader.probe(copy).startDelay - delay) < 0.01)
        #expect(try await allFrames(VideoReader(copy).frames()) == frames)
    }

    /// `mount -t tmpfs -o size=300k none FOLDER` makes such a folder.
    @Test(
        .enabled(
            if: ProcessInfo.processInfo.environment["VIDEOIO_SMALL_FOLDER"] != nil,
            "set VIDEOIO_SMALL_FOLDER to a folder on a disk of less than 1 MB"),
        arguments: ["clip.mkv", "clip.mp4", "pictures/"])
    func fullDiskIsNamed(name: String) async throws {
        let small = try #require(ProcessInfo.processInfo.environment["VIDEOIO_SMALL_FOLDER"])
        let path = small + "/" + name
        var generator = SeededGenerator(seed: 1)
        let noise = try (0..<12).map { _ in
            try VideoFrame(
                width: 256, height: 256,
                pixels: .eightBit((0..<196608).map { _ in UInt8.random(in: 0...255, using: &generator) }))
        }
        #expect(await videoError { try await write(noise, to: path) } == .diskFull(path))
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    private func stamp(_ path: String) throws -> [String] {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return [
            "\(attributes[.modificationDate] ?? "")", "\(attributes[.size] ?? "")",
            "\(attributes[.systemFileNumber] ?? "")",
        ]
    }
}

extension String {
    fileprivate var trimmedSlash: String { hasSuffix("/") ? String(dropLast()) : self }
}

func psnr(_ a: VideoFrame, _ b: VideoFrame) -> Double {
    var sum = 0.0
    for y in 0..<a.height {
        for x in 0..<a.width {
            for (p, q) in zip(colour(a, x: x, y: y), colour(b, x: x, y: y)) { sum += (p - q) * (p - q) }
        }
    }
    return -10 * log10(sum / Double(a.width * a.height * 3))
}
