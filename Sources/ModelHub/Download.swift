import Foundation

#if canImport(System)
import System
#else
import SystemPackage
#endif

/// Fetches one file: goes on where an earlier attempt stopped, checks size and hash, and gives it its name only when both are right.
struct Download: Sendable {
    let wanted: WantedFile
    let client: HubClient
    let report: @Sendable (PullEvent) -> Void

    private var file: RemoteFile { wanted.file }

    /// - Returns: where the whole file is.
    func run() async throws -> URL {
        let landing = wanted.storage.landing(wanted)
        try makeFolder(landing.complete.deletingLastPathComponent())
        let lock = try await FileLock(landing.lock) { report(.waitingForAnother(file: wanted.destination)) }
        defer { lock.release() }
        if let there = try await wanted.storage.existing(wanted) {
            // Another program has fetched it meanwhile.
            if let size = sizeOfFile(there) { report(.received(bytes: size - bytesThere(landing))) }
            unlink(landing.incomplete.path)
            return there
        }
        if let copy = wanted.copy {
            try take(copy, for: landing)
        } else {
            try await fetch(to: landing)
        }
        try publish(landing)
        let url = try wanted.storage.settle(wanted)
        report(.finished(file: wanted.destination, bytes: sizeOfFile(url) ?? 0))
        return url
    }

    /// How much of the file an earlier run has left.
    func bytesThere(_ landing: Landing? = nil) -> Int {
        let landing = landing ?? wanted.storage.landing(wanted)
        guard landing.isResumable, wanted.copy == nil, let size = sizeOfFile(landing.incomplete) else { return 0 }
        // More than the whole is none of it.
        return size <= file.size ?? 0 ? size : 0
    }

    private func fetch(to landing: Landing) async throws {
        do {
            var growing = try GrowingFile(landing.incomplete, keeping: bytesThere(landing))
            defer { growing.close() }
            var isPatched = growing.count > 0
            while true {
                try await client.repeating(wanted.destination) {
                    try await attempt(&growing, isResumable: landing.isResumable)
                }
                do {
                    try await growing.finish(file, as: wanted.destination)
                    return
                } catch let error as HubError where error.isOfBytes {
                    // Bytes of an earlier run may be to blame: once more from the start, and never twice.
                    guard isPatched else {
                        unlink(landing.incomplete.path)
                        throw error
                    }
                    isPatched = false
                    try restart(&growing, reason: "what was there was damaged")
                }
            }
        } catch let error as Errno {
            throw HubError.file(path: landing.incomplete.path, reason: error.description)
        }
    }

    /// One request for what is missing.
    private func attempt(_ growing: inout GrowingFile, isResumable: Bool) async throws {
        if growing.count > 0, !isResumable {
            try restart(&growing, reason: "the server does not say whether it is still the same")
        }
        let start = growing.count
        if let size = file.size, start == size { return }
        var request = HTTPRequest(.get, file.url)
        if start > 0 { request.headers["Range"] = "bytes=\(start)-" }
        var announced: Int?
        do {
            try await client.exchange(request) { reply, bytes in
                guard let bytes else {
                    announced = try begin(reply.head, &growing)
                    return
                }
                if let size = file.size, growing.count + bytes.count > size {
                    throw HubError.wrongSize(
                        file: wanted.destination, expected: size, found: growing.count + bytes.count)
                }
                try growing.append(bytes)
                report(.received(bytes: bytes.count))
            }
        } catch var failure as TransientFailure {
            failure.progressed = growing.count > start
            throw failure
        } catch let error as HubError {
            if case .wrongSize = error {
                report(.discarded(bytes: growing.count, file: wanted.destination, reason: "the size is wrong"))
                try growing.clear()
            }
            throw error
        }
        guard let whole = file.size ?? announced, growing.count < whole else { return }
        throw TransientFailure(
            reason: "the line broke",
            error: .unreachable(host: file.url.host ?? "", reason: "the connection was closed too early"),
            progressed: growing.count > start)
    }

    /// Looks at how a reply begins; the size that the whole file has by it.
    private func begin(_ head: HTTPHead, _ growing: inout GrowingFile) throws -> Int? {
        switch head.status {
        case 206:
            // Content-Range: bytes 100-999/1000
            let words = (head["content-range"] ?? "").split { " -/".contains($0) }.map(String.init)
            guard words.count == 4, words[0] == "bytes", Int(words[1]) == growing.count else {
                throw HubError.badAnswer(url: file.url.absoluteString, reason: "it is not the range that was asked for")
            }
            let total = Int(words[3])
            try expect(total)
            return total
        case 200:
            let length = head.number("content-length")
            try expect(length)
            if growing.count > 0 { try restart(&growing, reason: "the server sends whole files only") }
            return length
        case 416 where growing.count > 0:
            try restart(&growing, reason: "the server has no such range")
            throw TransientFailure(
                reason: "it starts anew", error: .badAnswer(url: file.url.absoluteString, reason: "no range fits"),
                wait: 0)
        default:
            try client.check(head, url: file.url) { head in
                head.status == 401 || head.status == 403
                    ? .denied(model: file.path, status: head.status, page: file.url.absoluteString) : nil
            }
            throw HubError.badAnswer(url: file.url.absoluteString, reason: "the status is \(head.status)")
        }
    }

    private func expect(_ size: Int?) throws {
        guard let size, let expected = file.size, size != expected else { return }
        throw HubError.wrongSize(file: wanted.destination, expected: expected, found: size)
    }

    private func restart(_ growing: inout GrowingFile, reason: String) throws {
        report(.discarded(bytes: growing.count, file: wanted.destination, reason: reason))
        try growing.clear()
    }

    private func take(_ copy: URL, for landing: Landing) throws {
        do {
            unlink(landing.incomplete.path)
            try FileManager.default.copyItem(at: copy.resolvingSymlinksInPath(), to: landing.incomplete)
        } catch {
            throw HubError.file(path: landing.incomplete.path, reason: reason(error))
        }
        report(.received(bytes: sizeOfFile(landing.incomplete) ?? 0))
    }

    /// Gives the file its name, unless something has it.
    private func publish(_ landing: Landing) throws {
        var status = stat()
        guard lstat(landing.complete.path, &status) != 0 else { throw HubError.differs(path: landing.complete.path) }
        guard rename(landing.incomplete.path, landing.complete.path) == 0 else {
            throw HubError.file(path: landing.complete.path, reason: String(cString: strerror(errno)))
        }
    }
}

/// A file that bytes are added to.
struct GrowingFile {
    private let descriptor: FileDescriptor
    private let url: URL
    private(set) var count: Int

    /// Opens or makes the file and keeps its first `keeping` bytes.
    init(_ url: URL, keeping: Int) throws {
        self.url = url
        count = keeping
        descriptor = try FileDescriptor.open(
            FilePath(url.path), .writeOnly, options: [.create, .closeOnExec],
            permissions: [.ownerReadWrite, .groupRead, .otherRead])
        do {
            try descriptor.resize(to: Int64(keeping))
            try descriptor.seek(offset: Int64(keeping), from: .start)
        } catch {
            try? descriptor.close()
            throw error
        }
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) throws {
        try descriptor.writeAll(bytes)
        count += bytes.count
    }

    mutating func clear() throws {
        try descriptor.resize(to: 0)
        try descriptor.seek(offset: 0, from: .start)
        count = 0
    }

    /// Checks size and hash and brings the bytes to the disk. Cost: they are read once.
    func finish(_ file: RemoteFile, as name: String) async throws {
        if let size = file.size, size != count { throw HubError.wrongSize(file: name, expected: size, found: count) }
        if let checksum = file.checksum {
            let found = try await checksum.found(in: url)
            if found != checksum.hexadecimal {
                throw HubError.wrongBytes(file: name, expected: checksum.hexadecimal, found: found)
            }
        }
        guard fsync(descriptor.rawValue) == 0 else { throw Errno(rawValue: errno) }
    }

    func close() { try? descriptor.close() }
}

/// An advisory lock as Python's filelock takes it: `flock` on a file that stays.
struct FileLock: Sendable {
    private let descriptor: Int32?

    /// Waits until the lock is free; `whenTaken` is called once if it is not.
    init(_ url: URL?, whenTaken: () -> Void) async throws {
        guard let url else {
            descriptor = nil
            return
        }
        try makeFolder(url.deletingLastPathComponent())
        let descriptor = open(url.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o664)
        guard descriptor >= 0 else { throw HubError.file(path: url.path, reason: String(cString: strerror(errno))) }
        var hasTold = false
        // A file system without locks has nobody to wait for.
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK || errno == EINTR {
            if !hasTold { whenTaken() }
            hasTold = true
            do {
                try await Task.sleep(for: .milliseconds(200))
            } catch {
                close(descriptor)
                throw error
            }
        }
        self.descriptor = descriptor
    }

    /// Takes the lock of a folder.
    init(folder: URL) throws {
        let descriptor = open(folder.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw HubError.file(path: folder.path, reason: String(cString: strerror(errno))) }
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
            close(descriptor)
            throw HubError.inUse(folder: folder.path)
        }
        self.descriptor = descriptor
    }

    func release() {
        guard let descriptor else { return }
        // Closing alone would leave the lock to a child that was started this moment, until it closes its copy.
        _ = flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}
