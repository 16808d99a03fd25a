import Foundation
import VideoIO

/// What a file or a folder is known by again, wherever it lies: its size and a look at some of it.
struct Fingerprint: Codable, Equatable, Sendable {
    /// Of all files together.
    var bytes: Int
    /// FNV-1a of names, sizes and samples.
    var hash: String

    /// Of a video or pictures. Of a folder only pictures count: a result may lie beside them.
    /// - Throws: as `init(_:)`.
    init(frames path: String) throws {
        guard let pictures = VideoReader.pictures(in: path) else {
            try self.init(path)
            return
        }
        try self.init(pictures.map { (($0 as NSString).lastPathComponent, URL(fileURLWithPath: $0)) })
    }

    /// Of a file, or of all in a folder.
    ///
    /// Cost: at most 3 MB are read of each file.
    /// - Throws: `WorkflowError` for what cannot be read.
    init(_ path: String) throws {
        let root = URL(fileURLWithPath: path).resolvingSymlinksInPath()
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: root.path, isDirectory: &isFolder), isFolder.boolValue else {
            try self.init([("", root)])
            return
        }
        let names = ((try? FileManager.default.subpathsOfDirectory(atPath: root.path)) ?? [])
            .filter { !$0.split(separator: "/").contains { $0.hasPrefix(".") } }.sorted()
        try self.init(names.map { ($0, root.appendingPathComponent($0)) })
    }

    private init(_ files: [(name: String, file: URL)]) throws {
        var hash = Hash()
        bytes = 0
        for (name, file) in files {
            let file = file.resolvingSymlinksInPath()
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder)
            if isFolder.boolValue { continue }
            hash.add(name.utf8)
            bytes += try Self.sample(file, &hash)
        }
        self.hash = String(hash.value, radix: 16)
    }

    private static func sample(_ file: URL, _ hash: inout Hash) throws -> Int {
        guard let handle = try? FileHandle(forReadingFrom: file) else {
            throw WorkflowError.message("\(file.path) cannot be read; look at who may read it.")
        }
        defer { try? handle.close() }
        let size = Int(try handle.seekToEnd())
        hash.add("\(size)".utf8)
        let piece = 1 << 16
        // All of a small one; of a large one its two ends, where headers and indices are, and pieces in between.
        let places =
            size <= 48 * piece
            ? Array(stride(from: 0, to: size, by: piece)) : (0..<48).map { (size - piece) / 47 * $0 } + [size - piece]
        for place in places {
            try handle.seek(toOffset: UInt64(place))
            hash.add(try handle.read(upToCount: piece) ?? Data())
        }
        return size
    }

    private struct Hash {
        var value: UInt64 = 0xcbf2_9ce4_8422_2325

        mutating func add(_ bytes: some Sequence<UInt8>) {
            for byte in bytes { value = (value ^ UInt64(byte)) &* 0x0100_0000_01b3 }
        }

        mutating func add(_ data: Data) {
            data.withUnsafeBytes { bytes in
                for byte in bytes { value = (value ^ UInt64(byte)) &* 0x0100_0000_01b3 }
            }
        }
    }
}
