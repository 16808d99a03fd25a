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

    private static func clips(at path: String, descending: Bool) throws -> [String] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw VideoError.fileMissing(path)
        }
        guard isFolder.boolValue else { return [path] }
        let entries = try FileManager.default.contentsOfDirectory(atPath: path).filter { !$0.hasPrefix(".") }.sorted()
        if entries.contains(where: FileNames.isPicture) { return [path] }
        return try entries.flatMap { entry -> [String] in
            let inner = (path as NSString).appendingPathComponent(entry)
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: inner, isDirectory: &isFolder)
            if isFolder.boolValue { return descending ? try clips(at: inner, descending: false) : [] }
            return FileNames.isVideo(entry) ? [inner] : []
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
