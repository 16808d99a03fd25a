import Foundation
import Subprocess
import Synchronization

/// Writes frames to a video file or a folder of PNG pictures.
///
///     let writer = try await VideoWriter(
///         to: "restored.mp4", width: 1280, height: 768, bitDepth: 16, frameRate: .fps25)
///     for frame in frames { try await writer.append(frame) }
///     try await writer.finish()
///
/// Everything is written under a hidden name beside the target; `finish()` moves it into place. `cancel()`,
/// cancelling the task that appends, and letting go of the writer all stop ffmpeg and remove what was written.
/// H.264 is converted with and tagged bt709, limited range. Writing to a pipe that breaks must not end the process,
/// so the first use sets SIGPIPE to be ignored where it still has its default.
public final class VideoWriter: Sendable {
    /// The file or folder that `finish()` will create.
    public let path: String
    public let width: Int
    public let height: Int
    /// Bits per component of the frames to come, 8 or 16.
    public let bitDepth: Int

    private let destination: Destination
    private let frames: Handoff<VideoFrame>
    private let encoder: Task<Void, any Error>
    private let isClosed = Mutex(false)
    private let hasFrames = Mutex(false)

    /// Checks the target and starts the encoder.
    ///
    /// - Parameters:
    ///   - path: the file, or the folder for PNG.
    ///   - bitDepth: 8 or 16; FFV1 and PNG store it, H.264 stores 8 bits whatever comes in.
    ///   - encoding: nil chooses by the extension, see `VideoEncoding.init(forPath:)`.
    ///   - tags: primaries and transfer to note in the file, such as the source's; nil ones become bt709. Matrix
    ///     and range are the encoding's own.
    ///   - source: a media file whose audio and subtitles are copied unchanged (subtitles become text subtitles in
    ///     mp4 and mov). Only sensible for the whole length of that file at its own frame rate.
    ///   - overwrite: replaces an existing target when finishing. A folder is replaced only if it holds nothing
    ///     but numbered PNG pictures.
    /// - Throws: `VideoError`: `targetExists`, `cannotWrite`, `unsupportedTarget`, `badFrame`, and what probing the
    ///   source throws. That ffmpeg is missing or fails shows in `append` or `finish`.
    public init(
        to path: String, width: Int, height: Int, bitDepth: Int, frameRate: FrameRate,
        encoding: VideoEncoding? = nil, tags: ColourTags = .bt709, copyStreams source: String? = nil,
        overwrite: Bool = false
    ) async throws {
        guard bitDepth == 8 || bitDepth == 16, VideoFrame.componentCount(width: width, height: height) != nil else {
            throw VideoError.badFrame("frames of \(width)x\(height) with \(bitDepth) bits cannot be written")
        }
        let chosen = try encoding ?? VideoEncoding(forPath: path)
        try chosen.check(path: path)
        if chosen == .png, source != nil {
            throw VideoError.unsupportedTarget(
                path, reason: "a folder of pictures holds no sound; write a .mkv or .mp4")
        }
        var delay = 0.0
        if let source { delay = try await VideoReader.probe(source).startDelay }
        let colour = await ColourConversion.detected()

        var arguments = FFmpeg.quietly + ["-y"]
        if delay > 0.0005 { arguments += ["-itsoffset", "\(delay)"] }
        arguments += ["-f", "rawvideo", "-pix_fmt", bitDepth == 8 ? "rgb24" : "rgb48le"]
        arguments += ["-video_size", "\(width)x\(height)", "-framerate", "\(frameRate)", "-i", "pipe:0"]
        if let source { arguments += ["-i", FFmpeg.url(URL(fileURLWithPath: source).path)] }
        arguments += ["-map", "0:v"]
        if source != nil { arguments += ["-map", "1:a?", "-map", "1:s?", "-map_metadata", "1", "-c:a", "copy"] }
        arguments += chosen.arguments(
            width: width, height: height, bitDepth: bitDepth, tags: tags, colour: colour)

        let destination = try Destination(target: path, isFolder: chosen == .png, overwrite: overwrite)
        let isQuickTime = !path.lowercased().hasSuffix(".mkv")
        if source != nil { arguments += ["-c:s", isQuickTime ? "mov_text" : "copy"] }
        if chosen == .png {
            // ffmpeg runs inside the folder, so that a percent sign in its name is not taken for a pattern.
            arguments += ["-start_number", "0", "-f", "image2", "%06d.png"]
        } else {
            if isQuickTime { arguments += ["-movflags", "+faststart"] }
            arguments.append(FFmpeg.url(destination.partial))
        }
        let frames = Handoff<VideoFrame>()
        let workingDirectory = chosen == .png ? destination.partial : nil
        self.path = path
        self.width = width
        self.height = height
        self.bitDepth = bitDepth
        self.destination = destination
        self.frames = frames
        encoder = Task { [arguments] in
            do {
                try await Self.encode(frames, path: path, arguments: arguments, in: workingDirectory)
            } catch {
                destination.discard()
                frames.finish(.failure(error))
                throw error
            }
        }
    }

    deinit {
        encoder.cancel()
        // At once, because this process may end before the task does; the task does it again when ffmpeg has gone.
        // After `finish()` there is nothing of that name.
        destination.discard()
    }

    /// Hands a frame to the encoder; waits while the encoder is busy, so that at most two frames are held.
    ///
    /// Throws `VideoError` (`badFrame`, `writerClosed`, or why ffmpeg gave up: `ffmpegFailed`, `diskFull`,
    /// `toolMissing`). A cancelled task cancels the whole writer and throws `CancellationError`.
    /// Call it from one task at a time, or the frames' order is left to chance.
    public func append(_ frame: VideoFrame) async throws {
        guard frame.width == width, frame.height == height, frame.bitDepth == bitDepth else {
            throw VideoError.badFrame(
                "a frame of \(frame.width)x\(frame.height) with \(frame.bitDepth) bits does not fit"
                    + " \"\(path)\" of \(width)x\(height) with \(bitDepth) bits")
        }
        guard !isClosed.withLock({ $0 }) else { throw VideoError.writerClosed(path) }
        do {
            try await frames.send(frame)
            hasFrames.withLock { $0 = true }
        } catch let error as CancellationError {
            // Without a cancelled task it was `finish` or `cancel` that came in between.
            guard Task.isCancelled else { throw VideoError.writerClosed(path) }
            await cancel()
            throw error
        }
    }

    /// Waits for the encoder's end and moves the result to its name.
    ///
    /// Throws as `append` does, and `nothingWritten`, `targetExists`, `cannotWrite`; nothing is left then.
    public func finish() async throws {
        let wasClosed = isClosed.withLock { closed in
            defer { closed = true }
            return closed
        }
        guard !wasClosed else { throw VideoError.writerClosed(path) }
        // A failed encoder knows better why there are no frames.
        guard hasFrames.withLock({ $0 }) else {
            encoder.cancel()
            let result = await encoder.result
            destination.discard()
            if case .failure(let error as VideoError) = result { throw error }
            throw VideoError.nothingWritten(path)
        }
        frames.finish()
        try await withTaskCancellationHandler {
            try await encoder.value
        } onCancel: {
            encoder.cancel()
        }
        do {
            try destination.commit()
        } catch {
            destination.discard()
            throw error
        }
    }

    /// Stops ffmpeg and removes what was written. Harmless after `finish()`.
    public func cancel() async {
        isClosed.withLock { $0 = true }
        encoder.cancel()
        _ = await encoder.result
        destination.discard()
    }

    /// Removes what all writers of this process have written so far, without waiting for anything: for a process that is about to end
    /// on the spot.
    public static func discardAll() {
        // First the encoders: one that has not seen a frame yet creates its file when its pipe closes.
        encoders.withLock { for process in $0 { kill(process, SIGKILL) } }
        Destination.discardAll()
    }

    /// The ffmpegs that wait for frames.
    private static let encoders = Mutex<Set<pid_t>>([])

    private static func encode(
        _ frames: Handoff<VideoFrame>, path: String, arguments: [String], in folder: String?
    ) async throws {
        let messages: String
        let succeeded: Bool
        do {
            let result = try await run(
                FFmpeg.configuration("ffmpeg", arguments, workingDirectory: folder),
                input: .inputWriter, output: .discarded, error: .sequence
            ) { execution in
                let process = execution.processIdentifier.value
                encoders.withLock { _ = $0.insert(process) }
                // Before anybody waits for its end, so that the number is still its own.
                defer { encoders.withLock { _ = $0.remove(process) } }
                async let messages = FFmpeg.lastLines(of: execution.standardError)
                var isWhole = true
                while isWhole, let frame = try await frames.next() {
                    isWhole = await write(frame, to: execution.standardInputWriter)
                }
                try await execution.standardInputWriter.finish()
                return (isWhole, await messages)
            }
            messages = result.closureResult.1
            succeeded = result.closureResult.0 && result.terminationStatus.isSuccess
        } catch let error as SubprocessError {
            try Task.checkCancellation()
            throw FFmpeg.translate(error, tool: "ffmpeg")
        }
        try Task.checkCancellation()
        if messages.contains("No space left on device") { throw VideoError.diskFull(path) }
        // ffmpeg calls it a success when the end of the file could not be written.
        let isBroken = ["Error writing trailer", "av_interleaved_write_frame()", "Error closing file"]
            .contains { messages.contains($0) }
        guard succeeded, !isBroken else {
            throw VideoError.ffmpegFailed("writing \"\(path)\"", details: messages)
        }
    }

    /// False where ffmpeg has gone and not everything was taken; its messages say why.
    private static func write(_ frame: VideoFrame, to input: StandardInputWriter) async -> Bool {
        switch frame.pixels {
        case .eightBit(let values): (try? await input.write(values.span.bytes)) == values.count
        case .sixteenBit(let values): (try? await input.write(values.span.bytes)) == values.count * 2
        }
    }
}
