import Foundation
import TensorKit
import VideoIO

/// A video that is degraded and restored, and that the results are compared with.
public struct Clip: Hashable, Sendable {
    /// What tables and folders call it.
    public var name: String
    /// A video, or a folder of pictures.
    public var path: String

    public init(name: String, path: String) {
        self.name = name
        self.path = path
    }

    /// The clips that paths mean: a video or a folder of pictures is one, any other folder holds many. In the order of their names,
    /// which are unique.
    /// - Throws: `EvaluationError.noClips` for a path with nothing to restore in it.
    public static func find(_ paths: [String]) throws -> [Clip] {
        var found: [String] = []
        for path in paths {
            let clips = try clips(at: path, descending: true)
            guard !clips.isEmpty else { throw EvaluationError.noClips(path) }
            found += clips
        }
        var names = Set<String>()
        return found.map { path in
            let url = URL(fileURLWithPath: path)
            let stem = url.hasDirectoryPath ? url.lastPathComponent : url.deletingPathExtension().lastPathComponent
            var name = stem
            var count = 1
            while !names.insert(name).inserted {
                count += 1
                name = "\(stem)-\(count)"
            }
            return Clip(name: name, path: path)
        }
    }

    private static let videos: Set<String> = ["mp4", "mov", "mkv", "avi", "webm", "m4v", "mpg", "mpeg", "y4m", "ts", "ogv", "wmv"]
    private static let pictures: Set<String> = ["png", "jpg", "jpeg"]

    private static func clips(at path: String, descending: Bool) throws -> [String] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { throw VideoError.fileMissing(path) }
        guard isFolder.boolValue else { return [path] }
        let entries = try FileManager.default.contentsOfDirectory(atPath: path).filter { !$0.hasPrefix(".") }.sorted()
        if entries.contains(where: { pictures.contains(($0 as NSString).pathExtension.lowercased()) }) { return [path] }
        return try entries.flatMap { entry -> [String] in
            let inner = (path as NSString).appendingPathComponent(entry)
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: inner, isDirectory: &isFolder)
            if isFolder.boolValue { return descending ? try clips(at: inner, descending: false) : [] }
            return videos.contains((entry as NSString).pathExtension.lowercased()) ? [inner] : []
        }
    }
}

/// The size that clips are brought to.
public enum ClipSize: Hashable, Sendable {
    /// The paper's sizes: 1280x768 for landscapes, 768x1280 for vertical videos, 1024x1024 for those nearest to a square.
    case paper
    /// Always this one.
    case fixed(width: Int, height: Int)
    /// The clip's own.
    case original

    /// (width, height) for a clip of that size.
    public func size(forWidth width: Int, height: Int) -> (width: Int, height: Int) {
        switch self {
        case .original: return (width, height)
        case .fixed(let width, let height): return (width, height)
        case .paper:
            func shape(_ width: Int, _ height: Int) -> Double { log(Double(width) / Double(height)) }
            let sizes = [(width: 1280, height: 768), (width: 1024, height: 1024), (width: 768, height: 1280)]
            let distances = sizes.map { abs(shape($0.width, $0.height) - shape(width, height)) }
            var nearest = 0
            for index in sizes.indices where distances[index] < distances[nearest] { nearest = index }
            return sizes[nearest]
        }
    }
}

/// A clip's frames as an evaluation uses them.
struct Truth: Sendable {
    /// (N, 3, H, W) in [-1, 1], float32: 8-bit values.
    var frames: Tensor
    /// Factor by which the clip was enlarged or shrunk: above 1 its finest detail is made up by interpolation.
    var scale: Double

    /// The clip's first frames: resized (bicubic with anti-aliasing) so that they cover the size, their middle cut out, rounded to 8 bits.
    init(_ clip: Clip, frameCount: Int, size: ClipSize) async throws {
        let reader = try await VideoReader(clip.path, countFrames: true)
        let info = reader.info
        let count = min(frameCount, info.frameCount ?? frameCount)
        let (width, height) = size.size(forWidth: info.width, height: info.height)
        let scale = max(Double(width) / Double(info.width), Double(height) / Double(info.height))
        let inner = (
            width: max(width, Int((Double(info.width) * scale).rounded())), height: max(height, Int((Double(info.height) * scale).rounded()))
        )
        var frames: [Tensor] = []
        for try await frame in reader.frames(0..<count) {
            var picture = try frame.tensor.unsqueezed(0)
            if inner != (info.width, info.height) {
                picture = try picture.resizedBicubic(height: inner.height, width: inner.width, antialiased: true)
            }
            picture = try picture.narrow(2, from: (inner.height - height) / 2, count: height)
                .narrow(3, from: (inner.width - width) / 2, count: width)
            frames.append(try picture.rounded(toBits: 8))
        }
        self.frames = try Tensor.concatenate(frames, along: 0)
        self.scale = scale
    }
}
