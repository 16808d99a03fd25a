import Foundation

/// A file that is to be fetched, and under which name the model has it.
struct WantedFile: Sendable {
    var file: RemoteFile
    /// With slashes, from the model's folder on.
    var destination: String
    /// The file in the hub's cache if it is there and goes elsewhere.
    var copy: URL?
    var storage: any Storage
}

/// Where the files of one source are kept.
protocol Storage: Sendable {
    /// The whole file if it is there already.
    func existing(_ wanted: WantedFile) async throws -> URL?
    func landing(_ wanted: WantedFile) -> Landing
    /// Makes a file that is whole reachable; where it can be opened.
    func settle(_ wanted: WantedFile) throws -> URL
}

/// Where a file grows and where it goes once it is whole.
struct Landing: Sendable {
    var incomplete: URL
    var complete: URL
    /// A file that other programs lock too while they fetch this one.
    var lock: URL?
    /// Whether bytes of an earlier run are those of the same file: its name says so.
    var isResumable: Bool
}

/// The hub's cache: files by content, with links of their names.
struct CacheStorage: Storage {
    let cache: HubCache
    let repository: HubRepository
    let commit: String

    func existing(_ wanted: WantedFile) throws -> URL? {
        guard try cache.file(wanted.file, of: repository, commit: commit) != nil else { return nil }
        return try settle(wanted)
    }

    func landing(_ wanted: WantedFile) -> Landing {
        // A source of the hub gives every file an ETag.
        let etag = wanted.file.etag ?? ""
        let blob = cache.blob(etag, of: repository)
        return Landing(
            incomplete: blob.appendingPathExtension("incomplete"), complete: blob,
            lock: cache.lock(etag, of: repository), isResumable: true)
    }

    func settle(_ wanted: WantedFile) throws -> URL { try cache.link(wanted.file, of: repository, commit: commit) }
}

/// A folder of plain files.
struct FolderStorage: Storage {
    let folder: URL

    private func url(_ wanted: WantedFile) -> URL { folder.appendingPathComponent(wanted.destination) }

    func existing(_ wanted: WantedFile) async throws -> URL? {
        let url = url(wanted)
        var status = stat()
        guard lstat(url.path, &status) == 0 else { return nil }
        guard let size = sizeOfFile(url), wanted.file.size == nil || wanted.file.size == size else {
            throw HubError.differs(path: url.path)
        }
        if let checksum = wanted.file.checksum, try await checksum.found(in: url) != checksum.hexadecimal {
            throw HubError.differs(path: url.path)
        }
        return url
    }

    func landing(_ wanted: WantedFile) -> Landing {
        let url = url(wanted)
        let name = ".\(url.lastPathComponent).\(wanted.file.etag.map { String($0.prefix(40)) } ?? "new").incomplete"
        return Landing(
            incomplete: url.deletingLastPathComponent().appendingPathComponent(name), complete: url,
            isResumable: wanted.file.etag != nil)
    }

    func settle(_ wanted: WantedFile) throws -> URL { url(wanted) }
}
