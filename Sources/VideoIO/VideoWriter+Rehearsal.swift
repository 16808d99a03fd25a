import Foundation

extension VideoWriter {
    /// Encodes two black frames with a moment of what is kept, and throws them away: what the encoder or the container
    /// refuses shows before the work.
    ///
    /// Takes what `init` takes. Costs about 0.3 s, and as much again where there are words for ffmpeg.
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
        let count = width * height * 3
        let black = try VideoFrame(
            width: width, height: height,
            pixels: bitDepth == 8
                ? .eightBit([UInt8](repeating: 0, count: count)) : .sixteenBit([UInt16](repeating: 0, count: count)))
        async let sent: Void = {
            for _ in 0..<2 { try? await frames.send(black) }
            frames.finish()
        }()
        defer { frames.finish() }
        do {
            try await encode(
                frames, path: path, arguments: command.arguments(output: name, isRehearsal: true),
                packaging: command.packaging, in: command.isFolder ? place.path : nil)
        } catch VideoError.ffmpegFailed(_, let details) {
            throw VideoError.unsupportedTarget(
                path,
                reason: "a rehearsal with two black frames failed; change the codec, the pixel format, the extra"
                    + " arguments or the output's kind [ffmpeg: \(details.prefix(200))]")
        } catch VideoError.diskFull {
            // Of the rehearsal's own place; it says nothing of the output's.
            return
        }
        frames.finish()
        await sent
        // A person's own words may suit one piece, and not the segments of a longer video.
        guard let plan, !encoding.extraArguments.isEmpty, !command.isFolder else { return }
        let segments = try VideoSegments(
            to: path, frames: [0..<2], width: width, height: height, bitDepth: bitDepth, frameRate: frameRate,
            encoding: encoding, tags: tags, keeping: plan)
        do {
            try await segments.rehearse(black, in: place.path)
        } catch VideoError.ffmpegFailed(_, let details) {
            throw VideoError.unsupportedTarget(
                path,
                reason: "a longer video is encoded in segments and joined, which failed with these extra arguments;"
                    + " leave some of them out [ffmpeg: \(details.prefix(200))]")
        } catch VideoError.diskFull {
            return
        }
    }
}
