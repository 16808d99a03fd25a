import Foundation
import Synchronization

/// A folder for what nobody wants to keep, in the system's place for such things. It goes with the value, and with a process that
/// `VideoWriter.discardAll()` tidies up behind.
package final class ScratchFolder: Sendable {
    package let path: String

    /// - Throws: what Foundation throws where it cannot be made.
    package init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("visionxl-\(UUID().uuidString)")
        path = url.path
        // In one step for whoever looks: `discardAll()` finds none that is known and not there yet, nor the other way round.
        try Self.all.withLock {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            $0.insert(path)
        }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
        Self.all.withLock { _ = $0.remove(path) }
    }

    package func file(_ name: String) -> String { path + "/" + name }

    /// Those that this process has.
    private static let all = Mutex<Set<String>>([])

    /// Removes all of them.
    static func discardAll() { discard { all.withLock { $0 } } }

    /// Removes folders until none is left: somebody may make one, or put a file into one, meanwhile. Not for ever, for what cannot be removed.
    /// - Parameter folders: those that there are now. Not asked under a lock, for removing takes its time.
    static func discard(_ folders: () -> Set<String>) {
        for _ in 0..<100 {
            let left = folders().filter { FileManager.default.fileExists(atPath: $0) }
            if left.isEmpty { return }
            for path in left { try? FileManager.default.removeItem(atPath: path) }
        }
    }
}
