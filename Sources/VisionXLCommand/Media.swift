import ArgumentParser
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
            if let range, let count = reader.info.frameCount, range.upperBound > count {
                throw VideoError.frameRangeOutside(reader.path, range: range, count: count)
            }
        } else {
            range = nil
        }
        iterator = reader.frames(range).makeAsyncIterator()
    }

    /// The number of frames, where it is known.
    var frameCount: Int? { range?.count ?? reader.info.frameCount }
    var windowCount: Int? { frameCount.map { max(1, $0 / size + ($0 % size == 0 ? 0 : 1)) } }

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
    /// Refuses empty names, which would mean the working folder.
    static func requireNames(input: String, output: String) throws {
        if input.isEmpty { throw ValidationError("The input's name is empty; name a video, a folder of pictures, or a picture.") }
        if output.isEmpty { throw ValidationError("The name after --output is empty; name a file or a folder.") }
    }

    /// Refuses an output that exists, or that is one of the inputs.
    static func check(output: String, inputs: [String], force: Bool) throws {
        for input in inputs where isSame(output, input) {
            throw CommandError.message("The output \(output) is the input; choose another name.")
        }
        if !force && exists(output) {
            throw CommandError.message("\(output) exists; choose another name, or replace it with --force.")
        }
    }

    /// Refuses a file of numbers that cannot be written, or that would replace what it should not, before the work begins.
    /// - Parameter others: what is read and written beside it.
    static func check(json path: String, others: [String], force: Bool) throws {
        for other in others where isSame(path, other) {
            throw CommandError.message("\(path) is read or written here already; choose another name for the JSON file.")
        }
        try check(output: path, inputs: [], force: force)
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
            throw CommandError.message("\(path) is a folder; choose another name for the JSON file.")
        }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else {
            throw CommandError.message("\(path) cannot be written: there is no folder \(folder); make it first.")
        }
        guard access(folder, W_OK) == 0 else {
            throw CommandError.message("\(path) cannot be written: the folder \(folder) is closed to you; choose another.")
        }
    }

    private static func isSame(_ a: String, _ b: String) -> Bool {
        let (a, b) = (URL(fileURLWithPath: a).standardizedFileURL, URL(fileURLWithPath: b).standardizedFileURL)
        return a.resolvingSymlinksInPath().path == b.resolvingSymlinksInPath().path
    }

    /// Whether anything has this name, links to nothing included.
    private static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
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
        return try await onThread { _ in try frame.tensor.mean(along: [0]).isGreater(than: 0.0).to(.float32) }
    }
}
