import Foundation
import Weights

/// Fetches the files that a latent diffusion model needs, and no others.
///
///     let puller = ModelPuller(environment: try HubEnvironment(), models: folderOfModels) { event in … }
///     let model = try await puller.pull(ModelName("sdxl"))
///
/// Files of the hub go to the hub's cache, and the model is a folder of links into it; with `folder`, the model is a folder of files.
/// A pull that is cancelled or fails leaves what has come so far, and the next one goes on from there.
public struct ModelPuller: Sendable {
    public let environment: HubEnvironment
    /// Where the folders of fetched models are.
    public let models: URL
    private let client: HubClient
    private let report: @Sendable (PullEvent) -> Void
    private let freeSpace: @Sendable (URL) -> Int?

    /// - Parameters:
    ///   - freeSpace: the bytes that can still be written in a folder.
    ///   - report: called from several tasks at once.
    public init(
        environment: HubEnvironment, models: URL, transport: any HTTPTransport = CurlTransport(),
        retry: RetryPolicy = RetryPolicy(),
        freeSpace: @escaping @Sendable (URL) -> Int? = ModelPuller.freeSpace,
        report: @escaping @Sendable (PullEvent) -> Void = { _ in }
    ) {
        self.environment = environment
        self.models = models
        self.freeSpace = freeSpace
        self.report = report
        client = HubClient(
            transport: transport, token: environment.token, home: Origin(environment.endpoint), retry: retry,
            report: report)
    }

    /// A model that is there.
    public struct Pulled: Sendable {
        /// The name by which it is opened: that of what was pulled, with that of the single file behind it.
        public let name: String
        public let folder: URL
        public let files: Int
        /// Of all its files.
        public let bytes: Int
    }

    /// - Parameters:
    ///   - folder: where the files go in place of the hub's cache.
    ///   - variant: which files to prefer where there are several; SDXL's are those of `fp16` unless another is said.
    ///   - withText: text encoders and tokenizers as well.
    ///   - file: a whole model in one safetensors file, by its path there; it alone is fetched.
    /// - Throws: `HubError`, `WeightsError` for an index of shards, `CancellationError`.
    public func pull(
        _ name: ModelName, to folder: URL? = nil, variant: String? = nil, withText: Bool = false, file: String? = nil
    ) async throws
        -> Pulled
    {
        let shortName = file.map { "\(name.shortName)/\($0.split(separator: "/").last ?? "")" } ?? name.shortName
        let shelf = models.appendingPathComponent(ModelName.folderName(of: shortName))
        let single = try file.map { file throws(HubError) in try Wish.singleFile(file) }
        let place: URL? =
            if let folder { folder } else if case .address = name { shelf } else { nil }
        var folderLock: FileLock?
        if let place {
            try makeFolder(place)
            folderLock = try FileLock(folder: place)
        }
        defer { folderLock?.release() }

        let parts = try await parts(of: name, variant: variant, withText: withText, single: single)
        if let file, let source = parts.first?.source, !source.paths.contains(file) {
            throw environment.isOffline ? source.lacking(file) : HubError.lacksFile(model: source.title, file: file)
        }
        var wanted: [WantedFile] = []
        var indexes: [(part: Part, file: WantedFile)] = []
        for part in parts {
            for match in try part.wishes.flatMap({ try $0.matches(in: part.source) }) {
                let file = try await self.wanted(match, of: part, in: place)
                wanted.append(file)
                if match.isIndex { indexes.append((part, file)) }
            }
        }
        // Which shards there are stands in the indexes.
        for (part, index) in indexes {
            var url = try await index.storage.existing(index)
            if url == nil { url = try await Download(wanted: index, client: client, report: report).run() }
            guard let url else { continue }
            for shard in try WeightFiles.shards(ofIndexAt: url) {
                let match = Wish.Match(
                    path: sibling(shard, of: index.file.path), destination: sibling(shard, of: index.destination))
                wanted.append(try await self.wanted(match, of: part, in: place))
            }
        }
        for part in parts {
            if let repository = part.repository, let commit = part.source.commit, !environment.isOffline, place == nil {
                try cache.note(commit, of: repository)
            }
        }
        let there = try await fetch(wanted, to: place ?? environment.cache)
        if place == nil { try link(zip(wanted, there).map { ($0.destination, $1) }, in: shelf) }
        return Pulled(
            name: shortName, folder: place ?? shelf, files: wanted.count,
            bytes: there.reduce(0) { $0 + (sizeOfFile($1) ?? 0) })
    }

    // MARK: What is wanted

    /// Files of one source.
    private struct Part {
        var source: any FileSource
        var wishes: [Wish]
        var repository: HubRepository?
    }

    private var cache: HubCache { HubCache(folder: environment.cache) }

    private func parts(of name: ModelName, variant: String?, withText: Bool, single: [Wish]?) async throws -> [Part] {
        switch name {
        case .sdxl:
            let base = HubRepository(owner: "stabilityai", name: "stable-diffusion-xl-base-1.0")
            if let single { return [Part(source: try await source(base), wishes: single, repository: base)] }
            // SDXL's own autoencoder overflows in float16; this one is made not to.
            let autoencoder = HubRepository(owner: "madebyollin", name: "sdxl-vae-fp16-fix")
            return [
                Part(
                    source: try await source(base),
                    wishes: Wish.model(variant: variant ?? "fp16", withText: withText, autoencoder: false),
                    repository: base),
                Part(
                    source: try await source(autoencoder), wishes: [.network("vae", variant: variant, from: "")],
                    repository: autoencoder),
            ]
        case .repository(let repository):
            let source = try await source(repository)
            let files = source.paths.filter {
                $0.hasSuffix(".safetensors") && !$0.contains("/") && HubRepository.isPlain($0)
            }.sorted()
            if single == nil, !source.paths.contains("unet/config.json"), !files.isEmpty {
                throw HubError.singleFiles(model: source.title, files: files)
            }
            return [
                Part(
                    source: source, wishes: single ?? Wish.model(variant: variant, withText: withText),
                    repository: repository)
            ]
        case .address(let url):
            let wishes = single ?? Wish.model(variant: variant, withText: withText)
            guard !environment.isOffline else {
                throw HubError.notInCache(model: name.shortName, lacks: "the model", cache: environment.cache.path)
            }
            return [
                Part(
                    source: try await AddressSource(url, asking: wishes.flatMap(\.candidates), client: client),
                    wishes: wishes)
            ]
        }
    }

    private func source(_ repository: HubRepository) async throws -> any FileSource {
        if environment.isOffline { return CachedSource(repository, cache: cache) }
        return try await HubSource(repository, endpoint: environment.endpoint, client: client)
    }

    private func wanted(_ match: Wish.Match, of part: Part, in place: URL?) async throws -> WantedFile {
        let file = try await part.source.file(at: match.path)
        guard let repository = part.repository, let commit = part.source.commit else {
            return WantedFile(
                file: file, destination: match.destination, storage: FolderStorage(folder: place ?? models))
        }
        if let place {
            let copy = try cache.file(file, of: repository, commit: commit)
            return WantedFile(
                file: file, destination: match.destination, copy: copy, storage: FolderStorage(folder: place))
        }
        return WantedFile(
            file: file, destination: match.destination,
            storage: CacheStorage(cache: cache, repository: repository, commit: commit))
    }

    private func sibling(_ name: String, of path: String) -> String {
        (path.split(separator: "/").dropLast().map(String.init) + [name]).joined(separator: "/")
    }

    // MARK: Fetching

    /// Fetches what is not there, four files at a time; where each file is, in order.
    private func fetch(_ wanted: [WantedFile], to folder: URL) async throws -> [URL] {
        var there: [URL?] = []
        for file in wanted { there.append(try await file.storage.existing(file)) }
        let missing = zip(wanted, there).filter { $1 == nil }.map {
            Download(wanted: $0.0, client: client, report: report)
        }
        let total = wanted.reduce(0) { $0 + ($1.file.size ?? 0) }
        let needed = missing.reduce(0) { $0 + max(($1.wanted.file.size ?? 0) - $1.bytesThere(), 0) }
        report(.planned(files: missing.count, bytes: total, present: total - needed))
        if let free = freeSpace(folder), free < needed {
            throw HubError.noSpace(folder: folder.path, needed: needed, free: free)
        }
        // The largest first: it takes longest.
        let order = missing.sorted { ($0.wanted.file.size ?? 0) > ($1.wanted.file.size ?? 0) }
        let fetched = try await inParallel(order) { ($0.wanted.destination, try await $0.run()) }
        let places = Dictionary(fetched) { first, _ in first }
        return zip(wanted, there).compactMap { $1 ?? places[$0.destination] }
    }

    /// The bytes that a user may still write in `folder`, or where it will be made.
    public static func freeSpace(in folder: URL) -> Int? {
        var folder = folder
        while !FileManager.default.fileExists(atPath: folder.path), folder.path != "/" {
            folder = folder.deletingLastPathComponent()
        }
        var status = statvfs()
        guard statvfs(folder.path, &status) == 0 else { return nil }
        return Int(
            clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
    }

    // MARK: The model's folder

    /// Makes `folder` a model by links to its files. Links of an earlier pull are replaced; anything else is left alone.
    private func link(_ files: [(name: String, target: URL)], in folder: URL) throws {
        let manager = FileManager.default
        for (name, _) in files {
            let url = folder.appendingPathComponent(name)
            if manager.fileExists(atPath: url.path), !isLink(url) { throw HubError.notALink(path: url.path) }
        }
        // A component is of one pull: weights that this one does not have would be opened in place of those it has.
        let new = Set(files.map(\.name))
        for component in Set(
            new.compactMap { $0.contains("/") ? $0.split(separator: "/").first.map(String.init) : nil })
        {
            for name in (try? manager.contentsOfDirectory(atPath: folder.appendingPathComponent(component).path)) ?? []
            {
                let url = folder.appendingPathComponent(component).appendingPathComponent(name)
                if isLink(url), !new.contains("\(component)/\(name)") { unlink(url.path) }
            }
        }
        for (name, target) in files { try makeLink(at: folder.appendingPathComponent(name), to: target.path) }
    }
}
