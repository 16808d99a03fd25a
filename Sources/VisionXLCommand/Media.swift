import Foundation
import TensorKit
import VideoIO

/// Frames of a video in windows: each is read when it is needed, so that memory does not grow with the length.
struct FrameWindows {
    let reader: VideoReader
    /// The frames that are read, nil for all.
    let range: Range<Int>?
    let size: Int
    private var iterator: FrameSequence.Iterator

    init(_ reader: VideoReader, frames: FrameRange?, size: Int) throws {
        self.reader = reader
        self.size = size
        if let frames {
            guard let upper = frames.upper ?? reader.info.frameCount else {
                throw CommandError.message("\(reader.path) does not say how many frames it has; give both ends of --frames.")
            }
            guard frames.lower < upper else {
                throw CommandError.message("--frames \(frames.lower): begins behind the video's end (it has \(upper) frames).")
            }
            range = frames.lower..<upper
        } else {
            range = nil
        }
        iterator = reader.frames(range).makeAsyncIterator()
    }

    /// The number of frames, where it is known.
    var frameCount: Int? { range?.count ?? reader.info.frameCount }
    var windowCount: Int? { frameCount.map { max(1, ($0 + size - 1) / size) } }

    /// The next window's frames, nil at the end.
    mutating func next() async throws -> [VideoFrame]? {
        var frames: [VideoFrame] = []
        while frames.count < size, let frame = try await iterator.next() {
            try Task.checkCancellation()
            frames.append(frame)
        }
        return frames.isEmpty ? nil : frames
    }
}

enum Media {
    /// Refuses an output that exists, or that is the input.
    static func check(output: String, input: String, force: Bool) throws {
        let (to, from) = (URL(fileURLWithPath: output).standardizedFileURL, URL(fileURLWithPath: input).standardizedFileURL)
        if to.resolvingSymlinksInPath() == from.resolvingSymlinksInPath() {
            throw CommandError.message("The output \(output) is the input; choose another name.")
        }
        if !force && FileManager.default.fileExists(atPath: output) {
            throw CommandError.message("\(output) exists; choose another name, or replace it with --force.")
        }
    }

    /// A mask of 0 and 1, (H, W), from a picture: known where it is brighter than middle grey.
    static func mask(_ path: String, height: Int, width: Int) async throws -> Tensor {
        let reader = try await VideoReader(path)
        guard reader.info.height == height, reader.info.width == width else {
            throw CommandError.message(
                "The mask \(path) has \(reader.info.width)x\(reader.info.height) pixels and the measurement \(width)x\(height); "
                    + "it must have the measurement's size.")
        }
        var iterator = reader.frames().makeAsyncIterator()
        guard let frame = try await iterator.next() else { throw CommandError.message("The mask \(path) holds no picture.") }
        return try frame.tensor.mean(along: [0]).isGreater(than: 0.0).to(.float32)
    }
}
