import Subprocess

/// A first look at a whole video: how many frames there are to see, and where scenes begin.
public struct SceneScan: Sendable, Equatable {
    /// Frames that ffmpeg decodes, which a damaged file may promise more of.
    public var frameCount: Int
    /// The first frame of each scene but the first, counted from the first frame that was looked at.
    public var cuts: [Int]

    public init(frameCount: Int, cuts: [Int]) { (self.frameCount, self.cuts) = (frameCount, cuts) }
}

extension VideoReader {
    /// Decodes all frames once, at 256 pixels or fewer, and tells where scenes begin (`SceneDetector`).
    ///
    /// Costs decoding the video, and about a tenth of a millisecond a frame; memory for a few small frames.
    /// - Parameters:
    ///   - range: the frames that are looked at; all when nil.
    ///   - tell: called now and then with the number of frames that were seen.
    /// - Throws: as iterating over `frames()`.
    public func scanned(
        _ range: Range<Int>? = nil, tell: @escaping @Sendable (Int) -> Void = { _ in }
    ) async throws -> SceneScan {
        if let range, range.isEmpty { return SceneScan(frameCount: 0, cuts: []) }
        switch source {
        case .file(let stream):
            return try await VideoDecoder(path: path, stream: stream, info: info, range: range).scan(tell)
        case .pictures(let all):
            let frames = Handoff<VideoFrame>()
            async let decoded: Void = {
                do {
                    try await Pictures.decode(Array(range.map { all[$0] } ?? all[...]), of: self, into: frames)
                    frames.finish()
                } catch {
                    frames.finish(.failure(error))
                }
            }()
            defer { frames.finish() }
            var detector = SceneDetector()
            while let frame = try await frames.next() {
                detector.add(frame.small(VideoDecoder.scanSize(width: info.width, height: info.height)))
                if detector.frameCount % 16 == 0 { tell(detector.frameCount) }
            }
            await decoded
            return SceneScan(frameCount: detector.frameCount, cuts: detector.cuts)
        }
    }
}

extension VideoFrame {
    /// 8-bit components at a smaller size: one pixel of each block.
    fileprivate func small(_ size: (width: Int, height: Int)) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(size.width * size.height * 3)
        for row in 0..<size.height {
            let line = row * height / size.height * width
            for column in 0..<size.width {
                let place = (line + column * width / size.width) * 3
                switch pixels {
                case .eightBit(let values): result += values[place..<place + 3]
                case .sixteenBit(let values): result += values[place..<place + 3].map { UInt8($0 >> 8) }
                }
            }
        }
        return result
    }
}

extension VideoDecoder {
    /// At most 256 pixels along the longer side.
    static func scanSize(width: Int, height: Int) -> (width: Int, height: Int) {
        let longest = max(width, height, 256)
        return (max(1, width * 256 / longest), max(1, height * 256 / longest))
    }

    fileprivate func scan(_ tell: @escaping @Sendable (Int) -> Void) async throws -> SceneScan {
        let size = Self.scanSize(width: info.width, height: info.height)
        var filters: [String] = []
        if let range { filters.append("trim=start_frame=\(range.lowerBound):end_frame=\(range.upperBound)") }
        filters += ["scale=\(size.width):\(size.height):flags=area", "format=rgb24"]
        var arguments = FFmpeg.quietly + ["-i", FFmpeg.url(path), "-map", "0:\(stream)"]
        arguments += ["-vf", filters.joined(separator: ","), "-fps_mode", "passthrough"]
        if let range { arguments += ["-frames:v", "\(range.count)"] }
        arguments += ["-f", "rawvideo", "pipe:1"]
        let outcome: (detector: SceneDetector, isWhole: Bool, messages: (tail: String, count: Int))
        let succeeded: Bool
        do {
            let result = try await run(
                FFmpeg.configuration("ffmpeg", arguments), input: .none, output: .sequence, error: .sequence
            ) { execution in
                async let messages = FFmpeg.messages(of: execution.standardError)
                var detector = SceneDetector()
                var assembly = FrameAssembly(componentCount: size.width * size.height * 3, isEightBit: true)
                for try await buffer in execution.standardOutput {
                    var offset = 0
                    while offset < buffer.count {
                        offset += buffer.withUnsafeBytes {
                            assembly.take(UnsafeRawBufferPointer(rebasing: $0[offset...]))
                        }
                        guard case .eightBit(let pixels)? = assembly.finished() else { continue }
                        detector.add(pixels)
                        if detector.frameCount % 64 == 0 { tell(detector.frameCount) }
                    }
                }
                return (detector, assembly.isEmpty, await messages)
            }
            outcome = result.closureResult
            succeeded = result.terminationStatus.isSuccess
        } catch let error as SubprocessError {
            try Task.checkCancellation()
            throw FFmpeg.translate(error, tool: "ffmpeg")
        }
        try Task.checkCancellation()
        try judge(
            decoded: outcome.detector.frameCount, isWhole: outcome.isWhole, messages: outcome.messages.tail,
            succeeded: succeeded)
        return SceneScan(frameCount: outcome.detector.frameCount, cuts: outcome.detector.cuts)
    }
}
