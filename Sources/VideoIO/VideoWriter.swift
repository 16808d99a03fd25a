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
/// Writing to a pipe that breaks must not end the process,
/// so the first use sets SIGPIPE to be ignored where it still has its default.
public final class VideoWriter: Sendable {
    /// The file or folder that `finish()` will create.
    public let path: String
    public let width: Int
    public let height: Int
    /// Bits per component of the frames to come: 8 or 16, or 32 for numbers in a .npy or .safetensors.
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
    ///   - bitDepth: 8 or 16, of the frames that come; what is stored is the encoding's.
    ///   - encoding: nil chooses by the extension, see `VideoEncoding.init(forPath:storedBits:)`.
    ///   - tags: what to note in the file of its colour, such as the source's; nil ones become bt709 and limited range.
    ///     YUV is converted with that matrix.
    ///   - plan: what is kept of a source: its times, shapes of pixels, sound, subtitles and so on.
    ///   - overwrite: replaces an existing target when finishing. A folder is replaced only if it holds nothing
    ///     but numbered PNG pictures.
    /// - Throws: `VideoError`: `targetExists`, `cannotWrite`, `unsupportedTarget`, `badFrame`, `toolMissing`. That
    ///   ffmpeg fails shows in `append` or `finish`.
    public init(
        to path: String, width: Int, height: Int, bitDepth: Int, frameRate: FrameRate,
        encoding: VideoEncoding? = nil, tags: ColourTags = .bt709, keeping plan: OutputPlan? = nil,
        overwrite: Bool = false
    ) async throws {
        let frames = Handoff<VideoFrame>()
        let encode: @Sendable () async throws -> Void
        let destination: Destination
        if let kind = FrameArray.Kind(path: path) {
            try (encoding ?? VideoEncoding(forPath: path)).check(path: path)
            guard bitDepth == 32 else { throw VideoError.badFrame("frames of \(bitDepth) bits are no numbers") }
            destination = try Destination(target: path, isFolder: false, overwrite: overwrite)
            let partial = destination.partial
            encode = { try await Self.store(frames, path: path, in: partial, kind: kind, height: height, width: width) }
        } else {
            let command = try await EncoderCommand(
                to: path, width: width, height: height, bitDepth: bitDepth, frameRate: frameRate, encoding: encoding,
                tags: tags, keeping: plan)
            destination = try Destination(target: path, isFolder: command.isFolder, overwrite: overwrite)
            let arguments = command.arguments(output: destination.partial)
            let workingDirectory = command.isFolder ? destination.partial : nil
            encode = {
                // The command keeps files that ffmpeg reads.
                defer { withExtendedLifetime(command) {} }
                try await Self.encode(
                    frames, path: path, arguments: arguments, packaging: command.packaging, in: workingDirectory)
            }
        }
        self.path = path
        self.width = width
        self.height = height
        self.bitDepth = bitDepth
        self.destination = destination
        self.frames = frames
        encoder = Task {
            do {
                try await encode()
            } catch {
                destination.discard()
                frames.finish(.failure(error))
                throw error
            }
        }
    }

    /// Numbers, without ffmpeg.
    private static func store(
        _ frames: Handoff<VideoFrame>, path: String, in partial: String, kind: FrameArray.Kind, height: Int, width: Int
    ) async throws {
        do {
            var writer = try FrameArrayWriter(partial, kind: kind, height: height, width: width)
            while let frame = try await frames.next() { try writer.append(frame) }
            try writer.finish()
        } catch let error as NSError where error.domain == NSCocoaErrorDomain {
            throw error.code == NSFileWriteOutOfSpaceError
                ? VideoError.diskFull(path) : VideoError.cannotWrite(path, reason: error.localizedDescription)
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

    /// Removes what all writers of this process have written so far, and its scratch folders, without waiting for anything: for a process that
    /// is about to end on the spot.
    public static func discardAll() {
        // First the encoders: one that has not seen a frame yet creates its file when its pipe closes.
        FFmpeg.running.withLock { for process in $0 { kill(process, SIGKILL) } }
        Destination.discardAll()
        ScratchFolder.discardAll()
    }

    static func encode(
        _ frames: Handoff<VideoFrame>, path: String, arguments: [String], packaging: EncoderCommand.Packaging?,
        in folder: String?
    ) async throws {
        let messages: String
        let succeeded: Bool
        do {
            let result = try await run(
                FFmpeg.configuration("ffmpeg", arguments, workingDirectory: folder),
                input: .inputWriter, output: .discarded, error: .sequence
            ) { execution in
                let process = execution.processIdentifier.value
                FFmpeg.running.withLock { _ = $0.insert(process) }
                // Before anybody waits for its end, so that the number is still its own.
                defer { FFmpeg.running.withLock { _ = $0.remove(process) } }
                async let messages = FFmpeg.lastLines(of: execution.standardError)
                var (isWhole, number) = (true, 0)
                while isWhole, let frame = try await frames.next() {
                    if let packaging {
                        isWhole = await write(packaging.bytes(before: number), to: execution.standardInputWriter)
                    }
                    if isWhole { isWhole = await write(frame, to: execution.standardInputWriter) }
                    number += 1
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
        guard succeeded, !isBroken(messages) else {
            throw VideoError.ffmpegFailed("writing \"\(path)\"", details: messages)
        }
    }

    /// ffmpeg calls it a success when the end of the file could not be written.
    static func isBroken(_ messages: String) -> Bool {
        ["Error writing trailer", "av_interleaved_write_frame()", "Error closing file"].contains {
            messages.contains($0)
        }
    }

    /// False where ffmpeg has gone and not everything was taken; its messages say why.
    private static func write(_ frame: VideoFrame, to input: StandardInputWriter) async -> Bool {
        switch frame.pixels {
        case .eightBit(let values): await write(values, to: input)
        case .sixteenBit(let values): (try? await input.write(values.span.bytes)) == values.count * 2
        case .float: false
        }
    }

    private static func write(_ bytes: [UInt8], to input: StandardInputWriter) async -> Bool {
        (try? await input.write(bytes.span.bytes)) == bytes.count
    }
}
