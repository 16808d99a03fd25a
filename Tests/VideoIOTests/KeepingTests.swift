import Foundation
import TestSupport
import Testing

@testable import VideoIO

/// What a copy keeps of its source beside the picture.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg))
struct KeepingTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    private func text(_ stream: String, _ entries: String, of name: String) async throws -> String {
        let answer = try await FFmpeg.collect(
            "ffprobe",
            ["-v", "error", "-select_streams", stream, "-show_entries", entries, "-of", "csv=p=0", folder.file(name)],
            limit: 1 << 20)
        return String(decoding: answer.output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Six frames at 25 a second, then six at 5.
    private func varying(_ name: String) async throws -> FrameTimes {
        try await ffmpeg([
            "-f", "lavfi", "-i", "testsrc2=size=32x32:rate=25", "-frames:v", "12", "-vf",
            "setpts='if(lt(N,6),N/25,6/25+(N-6)/5)/TB'", "-fps_mode", "vfr", "-c:v", "libx264", folder.file(name),
        ])
        return try #require(try await VideoReader(folder.file(name), countFrames: true).times)
    }

    @Test(arguments: ["in.mp4", "in.mkv"], ["out.mp4", "out.mkv", "out.mov"])
    func timesOfVaryingRateSurvive(source: String, target: String) async throws {
        let times = try await varying(source)
        let frames = try (0..<12).map { try patternFrame(width: 32, height: 32, bitDepth: 8, seed: $0) }
        try await write(frames, to: folder.file(target), copyStreams: folder.file(source))
        let reader = try await VideoReader(folder.file(target), countFrames: true)
        let found = try #require(reader.times)
        #expect(reader.info.frameCount == 12 && found.ticks.count == 12)
        for frame in 0..<12 {
            let ideal = frame < 6 ? Double(frame) / 25 : 6 / 25.0 + Double(frame - 6) / 5
            // Matroska counts milliseconds.
            #expect(abs(found.seconds(of: frame) - ideal) < 0.0011 && abs(times.seconds(of: frame) - ideal) < 0.0011)
        }
        if target.hasSuffix("mkv") {
            #expect(try await allFrames(reader.frames()) == frames)
        } else {
            // The last frame is seen as long as it was: it does not end at once.
            let duration = try #require(Double(try await text("v:0", "format=duration", of: target)))
            #expect(abs(duration - times.seconds(of: 11) - times.lastSeconds) < 0.002, "\(duration)")
        }
    }

    /// Times that are closer than frames of the average rate are no damage.
    @Test(arguments: ["in.mp4", "in.mkv"]) func aVaryingRateIsNoDamage(source: String) async throws {
        _ = try await varying(source)
        var frames = try await VideoReader(folder.file(source)).frames().makeAsyncIterator()
        var count = 0
        while try await frames.next() != nil { count += 1 }
        #expect(count == 12 && frames.damage == Damage())
    }

    /// When the picture flashes and when there is a beep, in seconds of the file's own clock.
    private func marks(_ name: String) async throws -> (flashes: [Double], beeps: [Double]) {
        let times = try await text("v:0", "packet=pts_time", of: name).split(separator: "\n")
            .compactMap { Double($0.split(separator: ",").first ?? "") }.sorted()
        var flashes: [Double] = []
        var wasBright = false
        for (index, frame) in try await allFrames(VideoReader(folder.file(name)).frames()).enumerated() {
            let isBright = colour(frame, x: 8, y: 8)[0] > 0.5
            if isBright, !wasBright { flashes.append(times[index]) }
            wasBright = isBright
        }
        let sound = try await FFmpeg.collect(
            "ffmpeg",
            FFmpeg.quietly + ["-copyts", "-i", folder.file(name), "-map", "0:a"]
                + ["-af", "aresample=48000:async=1:first_pts=0:min_hard_comp=0.001,aformat=flt:channel_layouts=mono"]
                + ["-f", "f32le", "pipe:1"], limit: 64 << 20)
        let samples = sound.output.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        var beeps: [Double] = []
        var last = -48000
        for (index, value) in samples.enumerated() where abs(value) > 0.1 {
            if index - last > 12000 { beeps.append(Double(index) / 48000) }
            last = index
        }
        return (flashes, beeps)
    }

    /// A flash and a beep each second: as far apart in the copy as in the source, at the first and at the last.
    @Test(arguments: ["variable", "29.97", "late", "late in a .ts"], ["mp4", "mkv"])
    func soundStaysWithThePicture(kind: String, ending: String) async throws {
        let rate = kind == "29.97" ? "30000/1001" : "25"
        // The rate halves after two seconds.
        let filter = kind == "variable" ? "select='lt(t,2)+not(mod(n,2))'" : "null"
        let delay = kind.hasPrefix("late") ? "0.3" : "0"
        let source = kind == "variable" ? "in.mkv" : kind.hasSuffix(".ts") ? "in.ts" : "in.mp4"
        try await ffmpeg(
            ["-f", "lavfi", "-i", "color=black:size=32x32:rate=\(rate):duration=4.5"]
                + ["-f", "lavfi", "-itsoffset", delay]
                + ["-i", "aevalsrc='0.5*sin(1760*PI*t)*lt(mod(t,1),0.1)*gte(t,0.5)':s=48000:d=4.2"]
                + ["-vf", "drawbox=color=white:t=fill:enable='lt(mod(t,1),0.1)*gte(t,0.5)',\(filter)"]
                + ["-fps_mode", "vfr", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", folder.file(source)])
        let before = try await marks(source)
        let frames = try await allFrames(VideoReader(folder.file(source)).frames())
        try await write(
            frames, to: folder.file("out." + ending), rate: VideoReader(folder.file(source)).info.frameRate,
            copyStreams: folder.file(source))
        let after = try await marks("out." + ending)
        try #require(before.flashes.count == 4 && before.beeps.count >= 3, "\(before)")
        try #require(after.flashes.count == 4 && after.beeps.count == before.beeps.count, "\(before) \(after)")
        for place in [0, before.beeps.count - 1] {
            let distances = [before, after].map { $0.beeps[place] - $0.flashes[place] }
            #expect(abs(distances[0] - distances[1]) < 0.01, "\(before) \(after)")
        }
    }

    /// Some versions of ffmpeg write FLAC into .mp4 only if told that experiments are welcome.
    @Test func losslessSoundStaysWhatItIs() async throws {
        try await ffmpeg(
            ["-f", "lavfi", "-i", "testsrc2=size=32x32:duration=1", "-f", "lavfi", "-i", "sine=duration=1"]
                + ["-c:v", "ffv1", "-c:a", "flac", folder.file("in.mkv")])
        let frames = try await allFrames(VideoReader(folder.file("in.mkv")).frames())
        try await write(frames, to: folder.file("out.mp4"), copyStreams: folder.file("in.mkv"))
        #expect(try await text("a:0", "stream=codec_name", of: "out.mp4").hasPrefix("flac"))
    }

    /// Frames are missing by their times, wherever that is.
    @Test func missingFramesAreFoundByTheirTimes() {
        func missing(_ expected: [Int]?, _ found: [Int?]) -> [Int] {
            var gaps = FrameGaps(expected)
            return found.map { gaps.missing(before: $0) } + [gaps.missingAtEnd]
        }
        #expect(missing([0, 5, 9, 12], [0, 5, 9, 12]) == [0, 0, 0, 0, 0])
        #expect(missing([0, 5, 9, 12], [5, 12]) == [1, 1, 0])
        #expect(missing([0, 5, 9, 12], [0]) == [0, 3] && missing([0, 5], []) == [2])
        // A time that is not expected, none at all, and nothing known: nothing can be said.
        #expect(missing([0, 5, 9, 12], [0, 7, 12]) == [0, 0, 0, 0] && missing([0, 5], [nil, 5]) == [0, 0, 0])
        #expect(missing(nil, [0, 7]) == [0, 0, 0])
        // In the middle of another line, as two threads write.
        #expect(DecodingLog.time(in: "[h264 @ 0x1] frame:31   pts:1240    pts_time:1.24")?.tick == 1240)
        #expect(DecodingLog.time(in: "frame:0    pts:NOPTS   pts_time:NOPTS")?.frame == 0)
        #expect(DecodingLog.time(in: "error while decoding MB 0 4") == nil)
    }

    /// Forty frames, and the same film with bytes changed in some of its packets.
    /// - Parameter amount: ffmpeg's expression, of a packet's number `n`: 1 leaves nothing of it, more is less, 0 nothing.
    private func spoiled(_ name: String, _ amount: String) async throws -> (whole: VideoReader, spoiled: VideoReader) {
        let (whole, spoiled) = (folder.file(name), folder.file("spoiled-" + name))
        try await ffmpeg(
            ["-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25", "-frames:v", "40", "-c:v", "libx264", "-g", "8"]
                + ["-bf", "0", "-pix_fmt", "yuv420p", whole])
        try await ffmpeg(["-i", whole, "-c", "copy", "-bsf:v", "noise=amount='\(amount)'", spoiled])
        return try await (VideoReader(whole, countFrames: true), VideoReader(spoiled, countFrames: true))
    }

    private func decoded(_ sequence: FrameSequence) async throws -> (frames: [VideoFrame], damage: Damage) {
        var iterator = sequence.makeAsyncIterator()
        var frames: [VideoFrame] = []
        while let frame = try await iterator.next() { frames.append(frame) }
        return (frames, iterator.damage)
    }

    /// A film whose middle is spoiled has as many frames as before, and what is behind keeps its place.
    @Test(arguments: ["a.mkv", "a.mp4"], ["between(n,18,21)", "30*between(n,17,22)"])
    func aDamagedMiddleShiftsNothing(name: String, amount: String) async throws {
        let films = try await spoiled(name, amount)
        let (whole, (found, damage)) = try await (allFrames(films.whole.frames()), decoded(films.spoiled.frames()))
        try #require(found.count == 40)
        #expect(found.prefix(16) == whole.prefix(16) && found.suffix(16) == whole.suffix(16))
        #expect(found[18..<22] != whole[18..<22])
        #expect(damage.complaints > 0 && damage.sentence(of: "x")?.contains("complained") == true)
    }

    /// A .avi does not say when a frame is shown: it is not known where one is lost.
    @Test func aDamagedFilmWithoutTimesIsNamed() async throws {
        let film = try await spoiled("a.avi", "between(n,18,21)").spoiled
        let error = await videoError { _ = try await allFrames(film.frames()) }
        guard case .truncated(_, 36, 40, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    /// Frames that are lost before a range, at its ends and within it: it is the same part of the whole.
    @Test(
        arguments: ["a.mkv", "a.mp4"],
        [("between(n,10,13)+eq(n,27)+gte(n,38)", [10, 11, 12, 13, 27, 38, 39]), ("lt(n,3)", Array(0..<8))])
    func aPartOfADamagedFilmIsAPartOfTheWhole(name: String, lost: (amount: String, frames: [Int])) async throws {
        let film = try await spoiled(name, lost.amount).spoiled
        let (whole, damage) = try await decoded(film.frames())
        try #require(whole.count == 40 && damage.replaced == lost.frames.count)
        // The first frame that looks the same, for each: without its key frame a group is lost as a whole.
        let numbers = whole.indices.map { whole.firstIndex(of: whole[$0]) ?? $0 }
        try #require(numbers.enumerated().filter { $0 != $1 }.count == lost.frames.count)
        for range in [
            0..<5, 1..<2, 6..<12, 9..<10, 10..<11, 13..<20, 14..<15, 20..<40, 26..<29, 39..<40,
        ] {
            let part = try await decoded(film.frames(range))
            #expect(part.frames.map { whole.firstIndex(of: $0) ?? -1 } == Array(numbers[range]), "\(range)")
            #expect(part.damage.replaced == lost.frames.count(where: range.contains), "\(range)")
            // A first look counts the same frames.
            #expect(try await film.scanned(range).frameCount == range.count, "\(range)")
        }
    }

    /// What breaks off is known before a frame is decoded, and gives what there is when asked.
    @Test func whatBreaksOffIsKnownBefore() async throws {
        try await makeClip(folder.file("a.mkv"), frames: 40, extra: ["-g", "8"])
        let data = try Data(contentsOf: URL(fileURLWithPath: folder.file("a.mkv")))
        try data.prefix(data.count * 6 / 10).write(to: URL(fileURLWithPath: folder.file("b.mkv")))
        var reader = try await VideoReader(folder.file("b.mkv"), countFrames: true)
        let whole = try await VideoReader(folder.file("a.mkv"), countFrames: true)
        #expect(whole.breakOff == nil)
        #expect("\(reader.breakOff as Any)".contains("breaks off"))
        reader.acceptsIncomplete = true
        let found = try await allFrames(reader.frames())
        #expect(found.count > 8 && found.count < 40)
        #expect(try await found.prefix(8) == allFrames(whole.frames()).prefix(8))
    }

    @Test(arguments: [
        // Every frame twice, and telecine's fifth frame.
        (Array(stride(from: 0, to: 24, by: 2)), 24, 12), ((0..<25).filter { $0 % 5 != 3 }, 25, 5),
        // A still scene, a fade to black and back, and frames that all differ.
        ([0, 1, 2, 20], 24, 0), ([0, 1, 2, 3, 4, 5, 11], 12, 0), (Array(0..<24), 24, 0), ([0], 24, 0),
    ])
    func repetitionsAreThoseOfARaisedRate(shown: [Int], count: Int, repeated: Int) {
        #expect(Inspection.repetitions(shown: shown, of: count) == repeated)
    }

    @Test func fieldsThatRepeatHereAndThereAreNoTelecine() {
        let every = { (first: Int) in Array(stride(from: first, to: 60, by: 5)) }
        #expect(Inspection.isTelecine(tops: every(1), bottoms: every(3), of: 60))
        #expect(Inspection.isTelecine(tops: Array(every(1).suffix(5)), bottoms: every(3).prefix(6) + [7], of: 60))
        #expect(!Inspection.isTelecine(tops: every(1), bottoms: every(1), of: 60))
        #expect(!Inspection.isTelecine(tops: every(1), bottoms: [], of: 60))
        #expect(!Inspection.isTelecine(tops: [10, 15, 22, 29], bottoms: [14, 18, 21, 24, 25], of: 30))
        #expect(!Inspection.isTelecine(tops: every(1).suffix(4) + [], bottoms: every(3).prefix(4) + [], of: 120))
    }

    @Test func aRaisedRateAndTelecineAreFound() async throws {
        for (name, filter) in ["a.mkv": "null", "b.mkv": "fps=48", "c.mkv": "telecine"] {
            try await ffmpeg([
                "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=24", "-vf", filter, "-frames:v", "40", "-c:v", "ffv1",
                folder.file(name),
            ])
            let found = try await VideoReader(folder.file(name), countFrames: true).inspected()
            #expect(found.looked == 40 && found.isTelecined == (name == "c.mkv"), "\(name) \(found)")
            #expect(found.notes.isEmpty == (name != "b.mkv") && found.repeated == (name == "b.mkv" ? 20 : 0))
        }
    }

    @Test func aRegularRateIsNoListOfTimes() async throws {
        for (name, rate) in [("a.mkv", "24000/1001"), ("b.mp4", "30000/1001"), ("c.mkv", "25")] {
            try await makeClip(folder.file(name), frames: 40, rate: rate)
            let reader = try await VideoReader(folder.file(name), countFrames: true)
            #expect(reader.times == nil && reader.info.frameCount == 40)
        }
    }

    @Test func anEditListHidesFrames() async throws {
        let whole = folder.file("whole.mp4")
        try await makeClip(whole, frames: 12, extra: ["-g", "12", "-bf", "2"])
        try await ffmpeg(["-ss", "0.2", "-i", whole, "-c", "copy", folder.file("cut.mp4")])
        let reader = try await VideoReader(folder.file("cut.mp4"), countFrames: true)
        #expect(reader.info.frameCount == 7)
        #expect(try await allFrames(reader.frames()).count == 7)
    }

    // MARK: What is planned

    private func info(_ streams: [MediaStream]) -> VideoInfo {
        var info = VideoInfo(
            width: 32, height: 32, frameRate: .fps25, frameCount: 5, codec: "h264", bitDepth: 8,
            pixelFormat: "yuv420p", isRGB: false)
        info.streams = streams
        return info
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var kind: MediaStream.Kind
        var codec: String
        /// By container: "copy", an encoder, or nil for what is left out.
        var mp4, mov, mkv: String?
        var testDescription: String { "\(kind) \(codec)" }
    }

    static let cases = [
        Case(kind: .audio, codec: "aac", mp4: "copy", mov: "copy", mkv: "copy"),
        Case(kind: .audio, codec: "pcm_s16le", mp4: "aac", mov: "copy", mkv: "copy"),
        Case(kind: .audio, codec: "wmav2", mp4: "aac", mov: "aac", mkv: "copy"),
        Case(kind: .audio, codec: "vorbis", mp4: "aac", mov: "aac", mkv: "copy"),
        Case(kind: .audio, codec: "flac", mp4: "copy", mov: "alac", mkv: "copy"),
        Case(kind: .audio, codec: "truehd", mp4: "alac", mov: "alac", mkv: "copy"),
        Case(kind: .audio, codec: "pcm_dvd", mp4: "aac", mov: "aac", mkv: "flac"),
        Case(kind: .subtitle, codec: "mov_text", mp4: "copy", mov: "copy", mkv: "subrip"),
        Case(kind: .subtitle, codec: "ass", mp4: "mov_text", mov: "mov_text", mkv: "copy"),
        Case(kind: .subtitle, codec: "hdmv_pgs_subtitle", mkv: "copy"),
        Case(kind: .subtitle, codec: "dvb_teletext"),
        Case(kind: .attachment, codec: "ttf", mkv: "copy"),
        Case(kind: .cover, codec: "mjpeg", mp4: "copy", mov: "copy", mkv: "copy"),
        Case(kind: .video, codec: "h264"), Case(kind: .data, codec: "bin_data"),
    ]

    @Test(arguments: cases) func streamsArePlanned(_ the: Case) throws {
        let stream = MediaStream(index: 1, kind: the.kind, codec: the.codec, language: "jpn")
        let reader = VideoReader(path: "in", info: info([stream]), times: nil, source: .file(stream: 0))
        for (path, wanted) in [("a.mp4", the.mp4), ("a.mov", the.mov), ("a.mkv", the.mkv), ("a/", nil)] {
            let plan = try OutputPlan(for: reader, to: path)
            let item = try #require(plan.items.first)
            switch item.treatment {
            case .copied: #expect(wanted == "copy" && plan.notes.isEmpty, "\(path)")
            case .converted(let encoder): #expect(wanted == encoder && plan.notes.count == 1, "\(path)")
            // What goes is named.
            case .leftOut:
                #expect(wanted == nil && plan.notes.count == 1 && plan.notes[0].contains(the.codec), "\(path)")
            }
        }
        let part = try OutputPlan(for: reader, to: "a.mkv", frames: 0..<3)
        #expect(part.notes.isEmpty == (the.kind == .attachment || the.kind == .cover))
    }

    @Test func whatIsLeftOutOnPurposeIsNotNamed() throws {
        var info = info([
            MediaStream(index: 1, kind: .audio, codec: "wmav2"), MediaStream(index: 2, kind: .subtitle, codec: "ass"),
            MediaStream(index: 3, kind: .attachment, codec: "ttf"),
        ])
        (info.chapterCount, info.timecode, info.metadata) = (2, "01:00:00:00", ["title": "x", "odd": "y"])
        let reader = VideoReader(path: "in", info: info, times: nil, source: .file(stream: 0))
        #expect(try OutputPlan(for: reader, to: "a.mp4").notes.count == 4)
        let bare = try OutputPlan(for: reader, to: "a.mp4", leaving: Set(OutputPlan.Part.allCases))
        #expect(bare.notes.isEmpty && !bare.needsSource && !bare.arguments.contains("timecode=01:00:00:00"))
    }

    // MARK: How frames are stored

    // Numbers have tests of their own.
    @Test(arguments: VideoEncoding.Codec.allCases.filter { $0 != .float32 })
    func everyCodecStoresEveryDepth(codec: VideoEncoding.Codec) async throws {
        let frames = try (0..<3).map { try patternFrame(width: 64, height: 64, bitDepth: 16, seed: $0) }
        for container in codec.containers {
            for depth in codec.depths {
                let path = folder.file("\(codec)-\(depth)" + (container == .pictures ? "/" : ".\(container.rawValue)"))
                var isMissing = true
                for encoder in codec.encoders where try await Encoders.formats(of: encoder) != nil {
                    isMissing = false
                }
                let encoding = VideoEncoding(codec, bits: depth)
                guard !isMissing else {
                    // Said before the work, and in a sentence.
                    let error = await videoError { try await write(frames, to: path, encoding: encoding) }
                    #expect("\(error as Any)".contains("no encoder"))
                    continue
                }
                try await write(frames, to: path, encoding: encoding)
                let reader = try await VideoReader(path)
                #expect(reader.info.bitDepth == depth && reader.info.width == 64, "\(path)")
                #expect(try await allFrames(reader.frames()).count == 3)
            }
        }
    }

    @Test func whatACodecCannotHoldIsRefused() async throws {
        let frame = try patternFrame(width: 64, height: 64, bitDepth: 8)
        let cases: [(String, VideoEncoding, String)] = [
            ("a.mp4", VideoEncoding(.h264, bits: 16), "8 or 10 bits"), ("a.mov", VideoEncoding(.av1), ".mp4 or .mkv"),
            ("a.mp4", VideoEncoding(.prores), ".mov or .mkv"),
            ("a.mkv", VideoEncoding(.ffv1, quality: 3), "no constant rate factor (CRF)"),
            ("a/", VideoEncoding(.png, bits: 10), "8 or 16 bits"),
            ("a.mkv", VideoEncoding(.av1, quality: 64), "0...63"),
            ("a.mkv", VideoEncoding(.h264, bits: 10, pixelFormat: "yuv420p"), "has 8 bits"),
            ("a.mkv", VideoEncoding(.h264, pixelFormat: "nope"), "pixel format \"nope\""),
            ("a.mov", VideoEncoding(.prores, pixelFormat: "yuv420p10le"), "cannot store"),
        ]
        for (name, encoding, word) in cases {
            let error = await videoError { try await write([frame], to: folder.file(name), encoding: encoding) }
            #expect("\(error.map { "\($0)" } ?? "none")".contains(word), "\(name): \(String(describing: error))")
        }
        let rehearsed = await videoError {
            try await VideoWriter.rehearse(
                to: folder.file("a.mkv"), width: 64, height: 64, bitDepth: 8, frameRate: .fps25,
                encoding: VideoEncoding(.h264, extraArguments: ["-nosuchoption", "1"]), tags: .bt709, keeping: nil)
        }
        #expect("\(rehearsed.map { "\($0)" } ?? "none")".contains("nosuchoption"))
        #expect(folder.contents.isEmpty)
    }
}
