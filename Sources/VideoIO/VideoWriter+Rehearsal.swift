import Foundation

extension VideoWriter {
    /// Encodes two black frames with a moment of what is kept, and throws them away: what the encoder or the container
    /// refuses shows before the work.
    ///
    /// Takes what `init` takes. Costs about 0.3 s.
    /// - Throws: `VideoError`, as `init`, `append` and `finish`.
    public static func rehearse(
        to path: String, width: Int, height: Int, bitDepth: Int, frameRate: FrameRate, encoding: VideoEncoding,
        tags: ColourTags, keeping plan: OutputPlan?
    ) async throws {
        guard FrameArray.Kind(path: path) == nil else { return try encoding.check(path: path) }
        let command = try await EncoderCommand(
            to: path, width: width, height: height, bitDepth: bitDepth, frameRate: frameRate, encoding: encoding,
            tags: tags, keeping: plan)
        let place = try ScratchFolder()
        let name = command.isFolder ? place.path : place.file("rehearsal.\(command.container.rawValue)")
        defer { withExtendedLifetime((command, place)) {} }
        let frames = Handoff<VideoFrame>()
        let black = try VideoFrame.black(width: width, height: height, bitDepth: bitDepth)
        async let sent: Void = {
            for _ in 0..<2 { try? await frames.send(black) }
            frames.finish()
        }()
        defer { frames.finish() }
        try await VideoError.explainingRehearsal(
            of: path,
            "a rehearsal with two black frames failed; change the codec, the pixel format, the extra arguments or the"
                + " output's kind"
        ) {
            try await encode(
                frames, path: path, arguments: command.arguments(output: name, isRehearsal: true),
                packaging: command.packaging, in: command.isFolder ? place.path : nil)
        }
        frames.finish()
        await sent
    }
}

extension VideoSegments {
    /// Encodes two black frames as a segment and joins it with a moment of what is kept, where there are words for ffmpeg: they may suit one
    /// piece, and not segments. Throws all of it away.
    ///
    /// Costs about 0.5 s, and nothing without such words.
    /// - Throws: `VideoError`, as `writer` and `join`.
    public func rehearse() async throws {
        // Pictures are gathered without ffmpeg.
        guard hasWords, !ending.isEmpty else { return }
        let place = try ScratchFolder()
        defer { withExtendedLifetime(place) {} }
        let black = try VideoFrame.black(width: width, height: height, bitDepth: bitDepth)
        let (segment, joined) = (place.file("segment" + ending), place.file("joined" + ending))
        try await VideoError.explainingRehearsal(
            of: path,
            "a longer video is encoded in segments and joined, which failed with these extra arguments; leave some of"
                + " them out"
        ) {
            let writer = try await writer(of: 0..<2, to: segment)
            for _ in 0..<2 { try await writer.append(black) }
            try await writer.finish()
            let command = try await command()
            defer { withExtendedLifetime(command) {} }
            try await concatenate([segment], of: [0..<2], command, into: joined, isRehearsal: true)
        }
    }
}

extension VideoFrame {
    fileprivate static func black(width: Int, height: Int, bitDepth: Int) throws -> VideoFrame {
        let count = width * height * 3
        return try VideoFrame(
            width: width, height: height,
            pixels: bitDepth == 8
                ? .eightBit([UInt8](repeating: 0, count: count)) : .sixteenBit([UInt16](repeating: 0, count: count)))
    }
}

extension VideoError {
    /// - Parameter words: what is said where ffmpeg fails. A disk that runs full says nothing of the output's: it is that of scratch folders.
    fileprivate static func explainingRehearsal(
        of path: String, _ words: String, _ body: () async throws -> Void
    ) async throws {
        do {
            try await body()
        } catch VideoError.ffmpegFailed(_, let details) {
            throw VideoError.unsupportedTarget(path, reason: "\(words) [ffmpeg: \(details.prefix(200))]")
        } catch VideoError.diskFull {}
    }
}
