import Foundation
import Weights

/// One file of a model as a server describes it.
struct RemoteFile: Sendable, Hashable {
    /// With slashes, from the model's folder on.
    var path: String
    var url: URL
    /// In bytes; nil where the server does not say.
    var size: Int?
    /// What changes when the file does; it can be a file's name. nil where the server has none.
    var etag: String?
    var checksum: Checksum?

    init(path: String, url: URL, size: Int? = nil, etag: String? = nil, checksum: Checksum? = nil) {
        self.path = path
        self.url = url
        self.size = size
        self.etag = etag.flatMap { HubRepository.isPlain($0) ? $0 : nil }
        self.checksum = checksum
    }

    /// What a reply to HEAD says. The first server knows the hash; what it redirects to has an ETag of its own kind.
    /// - Parameter isGit: the server's plain ETags are git's, as the hub's are.
    init(path: String, url: URL, reply: HubReply, isGit: Bool) {
        let linked = reply.linked["x-linked-etag"].map(Self.bare)
        let etag = linked ?? (isGit ? reply.linked : reply.head)["etag"].map(Self.bare)
        let size = reply.linked.number("x-linked-size") ?? reply.head.number("content-length")
        let checksum: Checksum? =
            if let linked, Self.isHash(linked, digits: 64) {
                .sha256(linked.lowercased())
            } else if isGit, let etag, Self.isHash(etag, digits: 40) {
                .gitBlob(etag.lowercased())
            } else {
                nil
            }
        self.init(path: path, url: url, size: size, etag: etag, checksum: checksum)
    }

    /// An ETag without quotes and without the mark of a weak one.
    private static func bare(_ etag: String) -> String {
        (etag.hasPrefix("W/") ? String(etag.dropFirst(2)) : etag).trimmingCharacters(in: ["\""])
    }

    static func isHash(_ text: String, digits: Int) -> Bool {
        text.utf8.count == digits && text.allSatisfy { $0.isASCII && $0.isHexDigit }
    }
}

/// Where a model's files come from.
protocol FileSource: Sendable {
    /// For messages.
    var title: String { get }
    /// The commit whose files these are; nil where there are no commits.
    var commit: String? { get }
    /// The paths of the files that there are.
    var paths: Set<String> { get }
    /// All that can be known of a file without fetching it.
    func file(at path: String) async throws -> RemoteFile
    /// The error that says that something is not there.
    func lacking(_ what: String) -> HubError
}

/// A repository of the hub: its files at one commit, from the hub's API.
struct HubSource: FileSource {
    let repository: HubRepository
    let commit: String?
    let paths: Set<String>
    private let files: [String: RemoteFile]
    private let client: HubClient
    private let endpoint: URL

    var title: String { repository.description }
    func lacking(_ what: String) -> HubError { .incompleteModel(model: title, lacks: what) }

    /// Asks for the revision's commit, then for the tree of files of that commit; a mirror that has no trees names the files at least.
    init(_ repository: HubRepository, endpoint: URL, client: HubClient) async throws {
        self.repository = repository
        self.client = client
        self.endpoint = endpoint
        let problem = Self.problem(repository, endpoint: endpoint)
        let api = "\(endpoint.absoluteString)/api/models/\(repository.path)"
        let revision = try Self.url("\(api)/revision/\(repository.revision.replacingOccurrences(of: "/", with: "%2F"))")
        let answer = try await Self.decode(
            RevisionAnswer.self, from: client.data(revision, subject: repository.description, problem: problem).1,
            of: revision)
        guard RemoteFile.isHash(answer.sha, digits: 40) else {
            throw HubError.badAnswer(url: revision.absoluteString, reason: "\"\(answer.sha)\" is not a commit")
        }
        commit = answer.sha
        var files: [String: RemoteFile] = [:]
        var next: URL? = try Self.url("\(api)/tree/\(answer.sha)?recursive=true")
        var pages = 0
        while let page = next {
            pages += 1
            guard pages <= 1000 else {
                throw HubError.badAnswer(url: page.absoluteString, reason: "the list of files does not end")
            }
            let reply: HubReply, data: Data
            do {
                (reply, data) = try await client.data(page, subject: repository.description) {
                    $0.status == 404 ? nil : problem($0)
                }
            } catch HubError.noSuchFile where pages == 1 {
                break
            }
            for entry in try Self.decode([TreeEntry].self, from: data, of: page) where entry.type == "file" {
                let url = try Self.fileURL(entry.path, of: repository, commit: answer.sha, endpoint: endpoint)
                let oid = entry.lfs?.oid ?? entry.oid
                let checksum: Checksum = entry.lfs == nil ? .gitBlob(oid.lowercased()) : .sha256(oid.lowercased())
                guard RemoteFile.isHash(oid, digits: entry.lfs == nil ? 40 : 64) else {
                    throw HubError.badAnswer(url: page.absoluteString, reason: "\"\(oid)\" is not a hash")
                }
                files[entry.path] = RemoteFile(
                    path: entry.path, url: url, size: entry.lfs?.size ?? entry.size, etag: oid, checksum: checksum)
            }
            next = Self.nextPage(reply.head, after: page)
        }
        self.files = files
        paths = files.isEmpty ? Set((answer.siblings ?? []).map(\.rfilename)) : Set(files.keys)
    }

    func file(at path: String) async throws -> RemoteFile {
        if let known = files[path] { return known }
        let url = try Self.fileURL(path, of: repository, commit: commit ?? repository.revision, endpoint: endpoint)
        guard
            let reply = try await client.head(
                of: url, subject: path, problem: Self.problem(repository, endpoint: endpoint))
        else {
            throw HubError.noSuchFile(url: url.absoluteString)
        }
        let file = RemoteFile(path: path, url: url, reply: reply, isGit: true)
        guard file.etag != nil else { throw HubError.badAnswer(url: url.absoluteString, reason: "there is no ETag") }
        return file
    }

    private struct RevisionAnswer: Decodable {
        struct Sibling: Decodable { let rfilename: String }
        let sha: String
        let siblings: [Sibling]?
    }

    private struct TreeEntry: Decodable {
        struct LFS: Decodable {
            let oid: String
            let size: Int
        }
        let type: String
        let path: String
        let oid: String
        let size: Int?
        let lfs: LFS?
    }

    /// The hub's own codes say more than the status: 401 stands for what does not exist, too.
    private static func problem(_ repository: HubRepository, endpoint: URL) -> @Sendable (HTTPHead) -> HubError? {
        let host = Origin(endpoint).map(String.init(describing:)) ?? endpoint.absoluteString
        return { head in
            switch (head.status, head["x-error-code"]) {
            case (_, "RevisionNotFound"): .noSuchRevision(model: repository.path, revision: repository.revision)
            case (_, "RepoNotFound"): .noSuchModel(model: repository.path, host: host)
            case (401, _), (403, _):
                .denied(
                    model: repository.path, status: head.status, page: "\(endpoint.absoluteString)/\(repository.path)")
            case (404, let code) where code != "EntryNotFound":
                repository.revision == HubRepository.defaultRevision
                    ? .noSuchModel(model: repository.path, host: host)
                    : .noSuchRevision(model: repository.path, revision: repository.revision)
            default: nil
            }
        }
    }

    /// `Link: <…>; rel="next"`
    private static func nextPage(_ head: HTTPHead, after page: URL) -> URL? {
        for link in (head["link"] ?? "").split(separator: ",") where link.contains("rel=\"next\"") {
            guard let open = link.firstIndex(of: "<"), let close = link.firstIndex(of: ">"), open < close else {
                continue
            }
            return URL(string: String(link[link.index(after: open)..<close]), relativeTo: page)?.absoluteURL
        }
        return nil
    }

    private static func fileURL(
        _ path: String, of repository: HubRepository, commit: String, endpoint: URL
    ) throws -> URL {
        try url("\(endpoint.absoluteString)/\(repository.path)/resolve/\(commit)/\(escaped(path))")
    }

    private static func url(_ text: String) throws -> URL {
        guard let url = URL(string: text) else { throw HubError.badAnswer(url: text, reason: "this is not an address") }
        return url
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, from data: Data, of url: URL) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch {
            throw HubError.badAnswer(url: url.absoluteString, reason: "it is not the JSON of the hub")
        }
    }
}

/// A folder that some web server shows. There is no list of its files: those that a model can have are asked for one by one.
struct AddressSource: FileSource {
    let base: URL
    let commit: String? = nil
    let paths: Set<String>
    private let files: [String: RemoteFile]
    private let client: HubClient

    var title: String { base.absoluteString }
    func lacking(_ what: String) -> HubError { .incompleteModel(model: title, lacks: what) }

    init(_ base: URL, asking candidates: [String], client: HubClient) async throws {
        self.base = base
        self.client = client
        let found = try await inParallel(candidates) { try await Self.ask(for: $0, in: base, client: client) }
        files = Dictionary(uniqueKeysWithValues: found.compactMap { $0 }.map { ($0.path, $0) })
        paths = Set(files.keys)
    }

    func file(at path: String) async throws -> RemoteFile {
        if let known = files[path] { return known }
        guard let file = try await Self.ask(for: path, in: base, client: client) else {
            throw HubError.noSuchFile(url: "\(base.absoluteString)/\(path)")
        }
        return file
    }

    private static func ask(for path: String, in base: URL, client: HubClient) async throws -> RemoteFile? {
        guard let url = URL(string: "\(base.absoluteString)/\(escaped(path))") else {
            throw HubError.badName(base.absoluteString)
        }
        let reply = try await client.head(of: url, subject: path) { head in
            head.status == 401 || head.status == 403
                ? .denied(model: base.absoluteString, status: head.status, page: base.absoluteString) : nil
        }
        return reply.map { RemoteFile(path: path, url: url, reply: $0, isGit: false) }
    }
}

/// What the cache has of a repository, for when nothing may be asked.
struct CachedSource: FileSource {
    let repository: HubRepository
    let cache: HubCache
    let commit: String?
    let paths: Set<String>

    var title: String { repository.description }
    func lacking(_ what: String) -> HubError { .notInCache(model: title, lacks: what, cache: cache.folder.path) }

    init(_ repository: HubRepository, cache: HubCache) {
        self.repository = repository
        self.cache = cache
        commit = cache.commit(of: repository)
        paths = commit.map { cache.paths(of: repository, commit: $0) } ?? []
    }

    func file(at path: String) async throws -> RemoteFile {
        guard let commit, paths.contains(path) else { throw lacking(path) }
        let file = cache.pointer(to: path, of: repository, commit: commit)
        return RemoteFile(
            path: path, url: file, size: sizeOfFile(file), etag: file.resolvingSymlinksInPath().lastPathComponent)
    }
}

/// `path` as a part of an address.
private func escaped(_ path: String) -> String {
    path.addingPercentEncoding(
        withAllowedCharacters: CharacterSet(charactersIn: "/-._~").union(
            .alphanumerics.intersection(.init(charactersIn: "\0"..."\u{7F}")))) ?? path
}

/// Does the same for every element, four at a time, and gives the results in order; the first error ends all.
func inParallel<Element: Sendable, Result: Sendable>(
    _ elements: [Element], width: Int = 4, _ body: @escaping @Sendable (Element) async throws -> Result
) async throws -> [Result] {
    try await withThrowingTaskGroup(of: (Int, Result).self) { group in
        var results = [Result?](repeating: nil, count: elements.count)
        for (index, element) in elements.enumerated() {
            if index >= width, let (done, result) = try await group.next() { results[done] = result }
            group.addTask { (index, try await body(element)) }
        }
        for try await (done, result) in group { results[done] = result }
        return results.compactMap { $0 }
    }
}
