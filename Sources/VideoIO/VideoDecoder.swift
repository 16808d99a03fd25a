import Subprocess

/// One run of ffmpeg that turns a media file into raw frames on a pipe.
struct VideoDecoder: Sendable {
    let path: String
    let stream: Int
    let info: VideoInfo
    /// The frames that are wanted, those counted that are lost; not empty. All when nil.
    let range: Range<Int>?
    /// Times of all frames of the file, in the stream's own clock; nil where they are not known.
    let ticks: [Int]?
    /// Whether a file that breaks off gives what there is of it.
    let acceptsIncomplete: Bool
    /// Whether frames become smaller, and exact colours do not matter.
    var isSmall = false
    /// Whether grey frames show how opaque pixels are.
    var showsOpacity = false

    /// 8-bit RGB is passed on as it is; everything else is widened, so that YUV loses nothing.
    private var isEightBit: Bool { info.isRGB && info.bitDepth <= 8 }

    /// Decodes all frames that there are. One that is lost in the middle of a damaged file is replaced by the one before
    /// it, if the times of the frames are known. A range is the same part of these frames: where some are lost before it,
    /// ffmpeg is started twice.
    func decode(into frames: Handoff<VideoFrame>) async throws -> Damage {
        let first = range?.lowerBound ?? 0
        do {
            return try await decode(from: first, isSure: first == 0, into: frames)
        } catch let found as OtherBeginning {
            return try await decode(from: found.frame, isSure: true, into: frames)
        }
    }

    /// A range begins with another one of the decoded frames: some are lost before.
    private struct OtherBeginning: Error {
        let frame: Int
    }

    /// - Parameters:
    ///   - first: the first frame that is wanted, or the last one before it, among those that are decoded.
    ///   - isSure: whether nothing can be lost before it that is not known.
    /// - Throws: `OtherBeginning` before any frame is handed on.
    private func decode(
        from first: Int, isSure: Bool, into frames: Handoff<VideoFrame>
    ) async throws -> Damage {
        let log = DecodingLog(FramePlaces(ticks, looking: range?.lowerBound ?? 0), asking: first)
        let succeeded: Bool
        let arguments = arguments(await ColourConversion.detected(), from: first)
        var passed: Passed
        do {
            let result = try await run(
                FFmpeg.configuration("ffmpeg", arguments), input: .none, output: .sequence, error: .sequence
            ) { execution in
                async let reading: Void = log.read(execution.standardError)
                defer { log.close() }
                let passed = try await passOn(execution.standardOutput, from: first, isSure: isSure, to: frames, log)
                log.close()
                await reading
                return passed
            }
            passed = result.closureResult
            succeeded = result.terminationStatus.isSuccess
        } catch let error as SubprocessError {
            try Task.checkCancellation()
            throw FFmpeg.translate(error, tool: "ffmpeg")
        }
        try Task.checkCancellation()
        let (messages, places) = (log.tail, log.places)
        // Fewer frames than lie before the range were decoded.
        if !isSure, passed.decoded == 0, log.complaints > 0, places.entry != first {
            throw OtherBeginning(frame: places.entry)
        }
        // What cannot be decoded at the end of a file that is all there.
        if succeeded, passed.isWhole, log.complaints > 0, !Self.breaksOff(messages), let last = passed.last {
            for _ in 0..<places.missingAtEnd { try await pass(last, isReplacement: true, &passed, to: frames) }
        }
        try judge(decoded: passed.count, isWhole: passed.isWhole, messages: messages, succeeded: succeeded)
        return Damage(complaints: log.complaints, replaced: passed.replaced)
    }

    /// Whether ffmpeg says that a file ends before it should.
    static func breaksOff(_ messages: String) -> Bool {
        ["ended prematurely", "partial file"].contains { messages.contains($0) }
    }

    /// What came of a stream.
    private struct Passed {
        /// The place of the next frame, among all that there should be.
        var place: Int
        /// Frames that were handed on.
        var count = 0
        /// Of these, how many stand for others.
        var replaced = 0
        /// Of what was decoded.
        var decoded = 0
        var isWhole = true
        var last: VideoFrame?
    }

    /// Cuts the stream into frames. The last one is whole unless the stream broke off.
    private func passOn(
        _ output: SubprocessOutputSequence, from first: Int, isSure: Bool, to frames: Handoff<VideoFrame>,
        _ log: DecodingLog
    ) async throws -> Passed {
        let size = info.width * info.height * 3
        var passed = Passed(place: first)
        var assembly = FrameAssembly(componentCount: size, isEightBit: isEightBit)
        for try await buffer in output {
            var offset = 0
            while offset < buffer.count {
                offset += buffer.withUnsafeBytes { assembly.take(UnsafeRawBufferPointer(rebasing: $0[offset...])) }
                guard let pixels = assembly.finished() else { continue }
                let frame = try VideoFrame(width: info.width, height: info.height, pixels: pixels)
                if let arrival = try await log.arrival(of: first + passed.decoded) {
                    if !isSure, passed.decoded == 0, arrival.place != first {
                        throw OtherBeginning(frame: log.places.entry)
                    }
                    passed.place = arrival.place - arrival.lost
                    for _ in 0..<arrival.lost {
                        try await pass(passed.last ?? frame, isReplacement: true, &passed, to: frames)
                    }
                }
                try await pass(frame, &passed, to: frames)
                passed.decoded += 1
                passed.last = frame
            }
        }
        passed.isWhole = assembly.isEmpty
        return passed
    }

    /// Hands a frame on if its place is wanted.
    private func pass(
        _ frame: VideoFrame, isReplacement: Bool = false, _ passed: inout Passed, to frames: Handoff<VideoFrame>
    ) async throws {
        defer { passed.place += 1 }
        guard range?.contains(passed.place) ?? true else { return }
        try await frames.send(frame)
        passed.count += 1
        passed.replaced += isReplacement ? 1 : 0
    }

    /// Says what was wrong with a stream that has ended. ffmpeg itself ends well on many a broken file.
    func judge(decoded: Int, isWhole: Bool, messages: String, succeeded: Bool) throws(VideoError) {
        let complained = !succeeded || !isWhole || !messages.isEmpty
        if let range, decoded < range.count, !complained {
            throw .frameRangeOutside(path, range: range, count: info.frameCount)
        }
        if decoded == 0 { throw .notAVideo(path, details: messages) }
        if acceptsIncomplete { return }
        let expected = range?.count ?? info.frameCount
        // A file may hide some frames by an edit list; without a complaint, fewer than stored is no fault. The number may come from
        // counting what is left of a file, so that the duration has a say too.
        let endsEarly = Self.breaksOff(messages)
        let lasting = range == nil ? framesByDuration(exactly: endsEarly) : 0
        let isShort = decoded < max(expected ?? 0, lasting)
        if !succeeded || !isWhole || (isShort && complained) {
            let whole = max(expected ?? 0, endsEarly ? lasting : 0)
            throw .truncated(path, decoded: decoded, expected: whole > decoded ? whole : nil, details: messages)
        }
    }

    /// A lower bound for the number of frames, where only the duration is known: sound may last longer.
    /// - Parameter exactly: the demuxer says itself that the file breaks off, so that not one frame may be missing.
    private func framesByDuration(exactly: Bool) -> Int {
        guard let duration = info.duration, duration < 1e9 else { return 0 }
        let frames = duration * info.frameRate.perSecond
        return exactly ? Int(frames.rounded()) : Int((frames * 0.98).rounded(.down)) - 2
    }

    /// ffmpeg's own decoder leaves out what lies beside the colours of a .webm.
    private var transparencyDecoder: [String] {
        guard showsOpacity, ["vp8", "vp9"].contains(info.codec) else { return [] }
        return ["-c:v", info.codec == "vp8" ? "libvpx" : "libvpx-vp9"]
    }

    /// - Parameter first: the first decoded frame that is handed over.
    private func arguments(_ colour: ColourConversion, from first: Int) -> [String] {
        // The times of frames before the range say whether some are lost there.
        var filters = [DecodingLog.filters]
        // One more where the first of them may only stand for the range's first one.
        let count = range.map { $0.count + ($0.lowerBound == first ? 0 : 1) }
        if let count { filters.append("trim=start_frame=\(first):end_frame=\(first + count)") }
        if showsOpacity { filters.append("alphaextract") }
        // The size is fixed so that a file that changes size midway still yields frames of one size.
        if isSmall {
            filters += ["scale=\(info.width):\(info.height):flags=area", "format=rgb24"]
        } else if info.isRGB {
            filters += [
                "scale=\(info.width):\(info.height):in_range=pc:out_range=pc:flags=\(FFmpeg.scalerFlags)",
                "format=\(isEightBit ? "rgb24" : "rgb48le")",
            ]
        } else {
            filters += colour.toRGB(info, matrix: info.decodingMatrix ?? .bt709)
        }
        var arguments =
            FFmpeg.quietly + transparencyDecoder + ["-copyts", "-i", FFmpeg.url(path), "-map", "0:\(stream)"]
        arguments += ["-vf", filters.joined(separator: ","), "-fps_mode", "passthrough"]
        if let count { arguments += ["-frames:v", "\(count)"] }
        // A clock in which no two times of a rate that varies are one, or ffmpeg would complain of each pair.
        return arguments + ["-enc_time_base", "1:1000000", "-f", "rawvideo", "pipe:1"]
    }
}
