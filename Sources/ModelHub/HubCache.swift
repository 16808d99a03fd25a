import Foundation

/// The hub's cache on this machine, in the layout that Python's huggingface_hub shares:
///
///     models--OWNER--NAME/blobs/ETAG                      the files, by content
///     models--OWNER--NAME/refs/main                       the commit a branch was at
///     models--OWNER--NAME/snapshots/COMMIT/unet/…         relative links to the blobs
///     .locks/models--OWNER--NAME/ETAG.lock                held while a blob is fetched
struct HubCache: Sendable {
    let folder: URL

    func repositoryFolder(_ repository: HubRepository) -> URL {
        folder.appendingPathComponent("models--\(repository.owner)--\(repository.name)")
    }

    func blob(_ etag: String, of repository: HubRepository) -> URL {
        repositoryFolder(repository).appendingPathComponent("blobs").appendingPathComponent(etag)
    }

    func lock(_ etag: String, of repository: HubRepository) -> URL {
        folder.appendingPathComponent(".locks/\(repositoryFolder(repository).lastPathComponent)/\(etag).lock")
    }

    func pointer(to path: String, of repository: HubRepository, commit: String) -> URL {
        repositoryFolder(repository).appendingPathComponent("snapshots/\(commit)").appendingPathComponent(path)
    }

    /// The commit that the revision was at when it was last asked for.
    func commit(of repository: HubRepository) -> String? {
        if RemoteFile.isHash(repository.revision, digits: 40) { return repository.revision }
        let ref = repositoryFolder(repository).appendingPathComponent("refs/\(repository.revision)")
        let text = FileManager.default.contents(atPath: ref.path).map { String(decoding: $0, as: UTF8.self) }
        return text?.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Notes the commit that a branch or a tag is at.
    func note(_ commit: String, of repository: HubRepository) throws(HubError) {
        guard repository.revision != commit, self.commit(of: repository) != commit else { return }
        let ref = repositoryFolder(repository).appendingPathComponent("refs/\(repository.revision)")
        try makeFolder(ref.deletingLastPathComponent())
        do { try Data(commit.utf8).write(to: ref, options: .atomic) } catch {
            throw .file(path: ref.path, reason: reason(error))
        }
    }

    /// The paths of the files that are there of a commit.
    func paths(of repository: HubRepository, commit: String) -> Set<String> {
        let snapshot = repositoryFolder(repository).appendingPathComponent("snapshots/\(commit)")
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: snapshot.path)) ?? []
        // A link whose blob is gone is not a file.
        return Set(names.filter { sizeOfFile(snapshot.appendingPathComponent($0)) != nil })
    }

    /// The file of a commit if the cache has it, by its own link or because another commit has the same blob.
    func file(_ file: RemoteFile, of repository: HubRepository, commit: String) throws(HubError) -> URL? {
        let pointer = pointer(to: file.path, of: repository, commit: commit)
        for candidate in [pointer] + (file.etag.map { [blob($0, of: repository)] } ?? []) {
            guard let size = sizeOfFile(candidate) else { continue }
            guard file.size == nil || file.size == size else { throw .damagedCache(path: candidate.path) }
            return candidate
        }
        return nil
    }

    /// Makes the link of a commit's file to its blob, unless it is there.
    func link(_ file: RemoteFile, of repository: HubRepository, commit: String) throws(HubError) -> URL {
        let pointer = pointer(to: file.path, of: repository, commit: commit)
        guard sizeOfFile(pointer) == nil, let etag = file.etag else { return pointer }
        // snapshots/COMMIT and each folder of the path are one step up.
        let up = String(repeating: "../", count: 1 + file.path.split(separator: "/").count)
        try makeLink(at: pointer, to: "\(up)blobs/\(etag)")
        return pointer
    }
}

/// The size of the plain file at `url`, links followed; nil where there is none.
func sizeOfFile(_ url: URL) -> Int? {
    var status = stat()
    guard stat(url.path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    return Int(status.st_size)
}

/// Whether there is a link at `url`, wherever it leads.
func isLink(_ url: URL) -> Bool {
    var status = stat()
    return lstat(url.path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
}

func makeFolder(_ url: URL) throws(HubError) {
    do {
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    } catch {
        throw .file(path: url.path, reason: "the folder cannot be made (\(reason(error)))")
    }
}

/// Puts a link where there is nothing, or another link, which it replaces in one step.
func makeLink(at url: URL, to target: String) throws(HubError) {
    try makeFolder(url.deletingLastPathComponent())
    if isLink(url), (try? FileManager.default.destinationOfSymbolicLink(atPath: url.path)) == target { return }
    let new = url.deletingLastPathComponent().appendingPathComponent(".\(url.lastPathComponent).\(UUID().uuidString)")
    guard symlink(target, new.path) == 0 else { throw .file(path: url.path, reason: String(cString: strerror(errno))) }
    guard rename(new.path, url.path) == 0 else {
        let code = errno
        unlink(new.path)
        throw .file(path: url.path, reason: String(cString: strerror(code)))
    }
}

/// The system's words for an error.
func reason(_ error: any Error) -> String {
    let error = error as NSError
    let underlying = error.userInfo[NSUnderlyingErrorKey] as? NSError ?? error
    return underlying.domain == NSPOSIXErrorDomain
        ? String(cString: strerror(Int32(underlying.code))) : error.localizedDescription
}
