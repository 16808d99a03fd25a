import Foundation
import TestSupport
import Testing

@testable import VideoIO

@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg))
struct ReadingTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    @Test func infoTellsWhatTheFileHolds() async throws {
        let path = folder.file("clip.mp4")
        try await makeClip(
            path, frames: 12, rate: "24000/1001",
            extra: ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"])
        let info = try await VideoReader.probe(path)
        #expect(info.width == 64 && info.height == 48)
        #expect(info.frameRate == FrameRate(24000, 1001))
        #expect(info.frameCount == 12)
        #expect(info.bitDepth == 8 && info.pixelFormat == "yuv420p" && !info.isRGB)
        #expect(info.colour == .bt709)
        #expect(!info.hasAudio && !info.hasSubtitles && info.startDelay == 0)
        #expect(abs((info.duration ?? 0) - 12 * 1001 / 24000) < 0.01)
        #expect(try JSONDecoder().decode(VideoInfo.self, from: JSONEncoder().encode(info)) == info)
    }

    @Test func tenBitsAreRecognised() async throws {
        let path = folder.file("ten.mkv")
        try await ffmpeg(
            [
                "-f", "lavfi", "-i", "testsrc2=size=32x32", "-frames:v", "2", "-pix_fmt", "yuv420p10le", "-c:v", "ffv1",
                path,
            ])
        let reader = try await VideoReader(path, countFrames: true)
        #expect(reader.info.bitDepth == 10 && reader.info.frameCount == 2)
        #expect(try await VideoReader.probe(path).frameCount == nil)
        #expect(try await allFrames(reader.frames()).map(\.bitDepth) == [16, 16])
    }

    @Test(arguments: [("libx264", "-x264-params"), ("libx265", "-x265-params")], [16, 30])
    func quantizersAreRead(encoder: (name: String, parameters: String), quantizer: Int) async throws {
        let path = folder.file("clip.mkv")
        try await ffmpeg(
            [
                "-f", "lavfi", "-i", "testsrc2=size=128x96", "-frames:v", "8", "-pix_fmt", "yuv420p", "-c:v",
                encoder.name,
            ]
                + [encoder.parameters, "qp=\(quantizer):ipratio=1:pbratio=1:log-level=none", path])
        let reader = try await VideoReader(path)
        #expect(!reader.info.isLossless)
        let step = try #require(try await reader.quantizerStep(firstFrames: 5))
        // Doubles every 6, and is 1 of 255 at 4.
        #expect(abs(step / (pow(2, Double(quantizer - 4) / 6) / 255) - 1) < 1e-9, "\(step)")
        #expect(try await reader.quantizerStep(firstFrames: 0) == nil)
    }

    @Test func aQuantizerBelongsToItsParameterSet() {
        var headers = SliceHeaders()
        #expect(headers.quantizerStep == nil)
        let line = "[trace_headers @ 0x5581] 30          "
        for words in [
            "pps_pic_parameter_set_id      1 = 0", "init_qp_minus26     00110 = 4",
            "pps_pic_parameter_set_id    010 = 1", "init_qp_minus26   00111 = -10",
            "slice_pic_parameter_set_id    1 = 0", "slice_qp_delta       1 = 0",
        ] { headers.read(line + words) }
        headers.read("Stream #0:0: slice_qp_delta 1 = 0")
        headers.read(line + "slice_qp_delta = x")
        #expect(headers.quantizerStep == pow(2, 26.0 / 6) / 255)
        for words in ["slice_pic_parameter_set_id   010 = 1", "slice_qp_delta   1 = 0"] { headers.read(line + words) }
        #expect(
            abs((headers.quantizerStep ?? 0) - ((pow(2, 26.0 / 3) + pow(2, 12.0 / 3)) / 2).squareRoot() / 255) < 1e-12)
    }

    @Test func whatIsLosslessHasNoQuantizer() async throws {
        let (mkv, jpeg) = (folder.file("clip.mkv"), folder.file("a.jpg"))
        try await ffmpeg(["-f", "lavfi", "-i", "testsrc2=size=32x32", "-frames:v", "2", "-c:v", "ffv1", mkv])
        try await ffmpeg(["-i", mkv, "-frames:v", "1", "-update", "1", jpeg])
        for (path, codec, isLossless) in [(mkv, "ffv1", true), (jpeg, "mjpeg", false)] {
            let reader = try await VideoReader(path)
            #expect(reader.info.codec == codec && reader.info.isLossless == isLossless)
            #expect(try await reader.quantizerStep(firstFrames: 2) == nil)
        }
    }

    @Test func rotationIsApplied() async throws {
        let (flat, turned) = (folder.file("flat.mp4"), folder.file("turned.mp4"))
        try await makeClip(flat, frames: 2)
        try await ffmpeg(["-i", flat, "-c", "copy", "-metadata:s:v:0", "rotate=90", turned])
        let reader = try await VideoReader(turned)
        #expect(reader.info.width == 48 && reader.info.height == 64)
        let frames = try await allFrames(reader.frames())
        let straight = try await allFrames(VideoReader(flat).frames())
        #expect(frames.count == 2)
        // A quarter turn takes the top left corner to a corner of (nearly) the same colour.
        let corner = colour(straight[0], x: 0, y: 0)
        let corners = [colour(frames[0], x: 47, y: 0), colour(frames[0], x: 0, y: 63)]
        #expect(corners.contains { zip($0, corner).allSatisfy { abs($0 - $1) < 0.05 } })
    }

    @Test func rangeGivesTheSameFramesAsTheWhole() async throws {
        let path = folder.file("clip.mp4")
        try await makeClip(path, frames: 30)
        let reader = try await VideoReader(path)
        let all = try await allFrames(reader.frames())
        #expect(all.count == 30)
        #expect(try await allFrames(reader.frames(7..<12)) == Array(all[7..<12]))
        #expect(try await allFrames(reader.frames(29..<30)) == [all[29]])
        #expect(try await allFrames(reader.frames(3..<3)).isEmpty)
    }

    @Test func rangeOutsideIsNamed() async throws {
        let (mp4, mkv) = (folder.file("clip.mp4"), folder.file("clip.mkv"))
        try await makeClip(mp4, frames: 5)
        try await makeClip(mkv, frames: 5)
        let known = try await VideoReader(mp4)
        let unknown = try await VideoReader(mkv)
        for range in [3..<6, -1..<2] {
            let error = await videoError { _ = try await allFrames(known.frames(range)) }
            #expect(error == .frameRangeOutside(mp4, range: range, count: 5))
        }
        for range in [3..<6, 8..<9] {
            let error = await videoError { _ = try await allFrames(unknown.frames(range)) }
            #expect(error == .frameRangeOutside(mkv, range: range, count: nil))
        }
        // Nor is there anything to look at, whatever holds the frames.
        let pictures = folder.file("pictures")
        try await write(allFrames(known.frames()), to: pictures)
        for reader in [known, try await VideoReader(pictures)] {
            let error = await videoError { _ = try await reader.scanned(3..<6) }
            #expect(error == .frameRangeOutside(reader.path, range: 3..<6, count: 5))
            #expect(try await reader.scanned(2..<2).frameCount == 0)
            #expect(try await reader.scanned(2..<5).frameCount == 3)
        }
    }

    @Test func whatIsNoVideoIsNamed() async throws {
        let missing = folder.file("missing.mp4")
        #expect(await videoError { _ = try await VideoReader(missing) } == .fileMissing(missing))

        let (empty, text) = (folder.file("empty.mp4"), folder.file("text.txt"))
        try Data().write(to: URL(fileURLWithPath: empty))
        try Data("Just some words.\n".utf8).write(to: URL(fileURLWithPath: text))
        for path in [empty, text] {
            guard case .notAVideo(path, _) = await videoError({ _ = try await VideoReader(path) }) else {
                Issue.record("\(path) was not refused as not a video")
                continue
            }
        }

        let sound = folder.file("sound.m4a")
        try await ffmpeg(["-f", "lavfi", "-i", "sine=duration=1", sound])
        #expect(await videoError { _ = try await VideoReader(sound) } == .noVideoStream(sound))

        let directory = folder.file("directory")
        try FileManager.default.createDirectory(atPath: directory + "/inner", withIntermediateDirectories: true)
        try Data("no picture".utf8).write(to: URL(fileURLWithPath: directory + "/notes.txt"))
        #expect(await videoError { _ = try await VideoReader(directory) } == .noPictures(folder: directory))
    }

    @Test(arguments: ["mp4", "mkv"]) func truncatedFileIsNamed(ending: String) async throws {
        let path = folder.file("clip.\(ending)")
        let extra = ["-bf", "0"] + (ending == "mp4" ? ["-movflags", "+faststart"] : [])
        try await makeClip(path, frames: 50, size: "320x240", extra: extra)
        let whole = try #require(FileManager.default.contents(atPath: path))
        try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: path))
        let reader = try await VideoReader(path)
        let error = await videoError { _ = try await allFrames(reader.frames()) }
        guard case .truncated(path, let decoded, _, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(decoded > 0 && decoded < 50)
        // What is there can still be read by asking for it.
        #expect(try await allFrames(reader.frames(0..<5)).count == 5)
    }

    /// Wherever a short film breaks off: all of its frames, or an error.
    @Test(arguments: [0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.99]) func noFrameIsLostSilently(
        part: Double
    ) async throws {
        let path = folder.file("clip.mkv")
        try await makeClip(path, frames: 8, size: "320x240")
        let whole = try #require(FileManager.default.contents(atPath: path))
        try whole.prefix(Int(Double(whole.count) * part)).write(to: URL(fileURLWithPath: path))
        do {
            let frames = try await allFrames(VideoReader(path).frames())
            #expect(frames.count == 8)
        } catch let error as VideoError {
            #expect("\(error)".contains(path))
            guard case .truncated(_, let decoded, let expected, _) = error else { return }
            // The number of frames may come from counting what is left.
            #expect(decoded < 8 && expected.map { $0 > decoded } ?? true)
        }
    }

    @Test func mp4WithoutItsIndexIsNamed() async throws {
        let path = folder.file("clip.mp4")
        try await makeClip(path, frames: 20)
        let whole = try #require(FileManager.default.contents(atPath: path))
        try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: path))
        guard case .notAVideo(path, let details) = await videoError({ _ = try await VideoReader(path) }) else {
            Issue.record("not refused")
            return
        }
        #expect(details.contains("moov"))
    }

    @Test func brokenStreamWithoutAFrameIsNamed() async throws {
        let path = folder.file("clip.mp4")
        try await makeClip(path, frames: 20, extra: ["-movflags", "+faststart"])
        var bytes = try #require(FileManager.default.contents(atPath: path))
        let data = try #require(bytes.range(of: Data("mdat".utf8)))
        for i in data.upperBound..<bytes.count { bytes[i] = 0xAA }
        try bytes.write(to: URL(fileURLWithPath: path))
        let error = await videoError {
            let reader = try await VideoReader(path)
            _ = try await allFrames(reader.frames())
        }
        guard case .notAVideo(path, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test(.enabled(if: procIsThere, needsProc)) func memoryDoesNotGrowWithLength() async throws {
        let path = folder.file("long.mp4")
        // 400 frames of 1.4 MB each as 16-bit RGB: 553 MB if they were kept.
        try await makeClip(path, frames: 400, size: "640x360", extra: ["-preset", "ultrafast"])
        let before = residentMegabytes()
        var count = 0
        for try await _ in try await VideoReader(path).frames() {
            count += 1
            // A slow taker must hold up the decoder, not pile up frames.
            if count == 5 { try await Task.sleep(for: .seconds(2)) }
            if count % 50 == 5 { #expect(residentMegabytes() - before < 200) }
        }
        #expect(count == 400)
    }

    @Test(.enabled(if: procIsThere, needsProc)) func leavingEarlyStopsFFmpeg() async throws {
        let path = folder.file("clip.mp4")
        try await makeClip(path, frames: 400, size: "640x360", extra: ["-preset", "ultrafast"])
        for try await _ in try await VideoReader(path).frames() { break }
        #expect(try await eventually { ffmpegProcesses(mentioning: path).isEmpty })
    }

    @Test(.enabled(if: procIsThere, needsProc)) func cancelledTaskStopsFFmpeg() async throws {
        let path = folder.file("clip.mp4")
        try await makeClip(path, frames: 400, size: "640x360", extra: ["-preset", "ultrafast"])
        let reader = try await VideoReader(path)
        let task = Task {
            for try await _ in reader.frames() { try await Task.sleep(for: .milliseconds(200)) }
        }
        #expect(try await eventually { !ffmpegProcesses(mentioning: path).isEmpty })
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await eventually { ffmpegProcesses(mentioning: path).isEmpty })
    }

    private func residentMegabytes() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let pages = status.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * sysconf(Int32(_SC_PAGESIZE)) >> 20
    }
}
