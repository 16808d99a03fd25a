import Foundation
import Synchronization

/// A folder for what nobody wants to keep, in the system's place for such things. It goes with the value, and with a process that
/// `VideoWriter.discardAll()` tidies up behind.
public final class ScratchFolder: Sendable {
    public let path: String

    /// - Throws: what Foundation throws where it cannot be made.
    public init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("visionxl-\(UUID().uuidString)")
        path = url.path
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        Self.all.withLock { _ = $0.insert(path) }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
        Self.all.withLock { _ = $0.remove(path) }
    }

    public func file(_ name: String) -> String { path + "/" + name }

    /// Those that this process has.
    private static let all = Mutex<Set<String>>([])

    /// Removes all of them.
    static func discardAll() {
        // Not under the lock, for removing takes its time.
        for path in all.withLock({ $0 }) { try? FileManager.default.removeItem(atPath: path) }
    }
}
