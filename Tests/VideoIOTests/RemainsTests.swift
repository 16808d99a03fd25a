import Foundation
import TestSupport
import Testing

@testable import VideoIO

/// What processes leave that are killed while they write.
struct RemainsTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder("remains") }

    /// Above what Linux gives to a process.
    private static let gone = 4_194_305

    private func make(_ name: String, isFolder: Bool) throws {
        guard isFolder else { return try Data("x".utf8).write(to: URL(fileURLWithPath: folder.file(name))) }
        try FileManager.default.createDirectory(atPath: folder.file(name), withIntermediateDirectories: false)
        try Data(name.utf8).write(to: URL(fileURLWithPath: folder.file(name) + "/000000.png"))
    }

    /// In a container a process has the number of the one before it.
    @Test(arguments: [false, true]) func ofOurOwnNumber(isFolder: Bool) throws {
        let (name, ending) = isFolder ? ("out", "") : ("out.mp4", ".mp4")
        let destination = try Destination(target: folder.file(name), isFolder: isFolder, overwrite: false)
        let mine = try #require(folder.contents.first)
        try make(".out.partial-\(getpid())-1\(ending)", isFolder: isFolder)
        try make(".out.partial-\(Self.gone)-2\(ending)", isFolder: isFolder)
        // Of one that is at work, and of other names.
        let kept = [
            ".out.partial-1-3\(ending)", ".out.partial-\(getpid())-4.mkv", ".other.partial-\(getpid())-5\(ending)",
        ]
        for name in kept { try make(name, isFolder: isFolder) }
        Destination.removeRemains(of: folder.file(name), isFolder: isFolder)
        #expect(folder.contents == (kept + [mine]).sorted())
        // When it is given up it is no longer written.
        destination.discard()
        try make(mine, isFolder: isFolder)
        Destination.removeRemains(of: folder.file(name), isFolder: isFolder)
        #expect(folder.contents == kept.sorted())
    }

    /// Killed between the two steps in which a folder takes another one's place, or behind them.
    @Test(arguments: [false, true]) func aFolderThatStoodAside(isReplaced: Bool) throws {
        let target = folder.file("out")
        for process in [pid_t(Self.gone), getpid()] {
            let old = ".out.partial-\(process)-6.old"
            try make(old, isFolder: true)
            if isReplaced { try make("out", isFolder: true) }
            Destination.removeRemains(of: target, isFolder: true)
            #expect(folder.contents == ["out"])
            let inside = try Data(contentsOf: URL(fileURLWithPath: target + "/000000.png"))
            #expect(String(decoding: inside, as: UTF8.self) == (isReplaced ? "out" : old))
            try FileManager.default.removeItem(atPath: target)
        }
        // A file is replaced in one step.
        try make(".out.partial-\(Self.gone)-7.old", isFolder: false)
        Destination.removeRemains(of: folder.file("out.mp4"), isFolder: false)
        #expect(folder.contents == [".out.partial-\(Self.gone)-7.old"])
    }

    /// What is made while others are removed goes, too, and whoever makes something for ever does not keep us.
    @Test(arguments: [(0, 1), (2, 3), (1000, 100)]) func scratchFolders(disturbances: Int, looks: Int) throws {
        var (count, made) = (0, Set<String>())
        ScratchFolder.discard {
            count += 1
            // The first one again, with a file in it, and another one.
            for name in count <= disturbances ? ["scratch", "scratch\(count)"] : [] {
                try? make(name, isFolder: true)
                made.insert(folder.file(name))
            }
            return made
        }
        #expect(count == looks)
        #expect(folder.contents.isEmpty)
    }

    /// One is there as long as its value.
    @Test func aScratchFolder() throws {
        var scratch: ScratchFolder? = try ScratchFolder()
        let path = try #require(scratch?.path)
        #expect(FileManager.default.fileExists(atPath: path))
        scratch = nil
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
