import Foundation

/// A lock that the system takes away from a process that ends, in whatever way.
final class FileLock: Sendable {
    private let descriptor: Int32

    /// What stands in it.
    private static let words = "visionxl is at work here, or was\n"

    /// Whether this program made a lock there.
    static func isThere(_ file: String) -> Bool { FileManager.default.contents(atPath: file) == Data(words.utf8) }

    init(_ file: String, of folder: String) throws {
        descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            throw WorkflowError.message(
                "\(folder) cannot be written (\(String(cString: strerror(errno)))); name another folder with --work.")
        }
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
            close(descriptor)
            throw WorkflowError.message(
                "Another run is at work in \(folder); wait for its end, or name another folder with --work.")
        }
        if !Self.isThere(file) {
            ftruncate(descriptor, 0)
            _ = Self.words.withCString { write(descriptor, $0, strlen($0)) }
        }
    }

    deinit { close(descriptor) }
}
