import Foundation
import Synchronization
import TestSupport
import Testing

@testable import ModelHub

/// A repository with what SDXL's has and more, of made-up bytes, and a place to pull to.
struct Stage: Sendable {
    let hub: LocalHub
    let place: TemporaryFolder
    let events = Events()

    /// Bytes of the large file: several pieces for every buffer on the way.
    static let largeCount = 300_000
    static let unet = "unet/diffusion_pytorch_model.safetensors"
    /// The large file's sha256, as Python's hashlib has it.
    static let unetHash = "93e8513b570de15486240dac1be342ec60b29cb0d0a0881b48031bfa4e95d717"

    /// What happened, in order.
    final class Events: Sendable {
        private let list = Mutex<[PullEvent]>([])
        func add(_ event: PullEvent) { list.withLock { $0.append(event) } }
        var all: [PullEvent] { list.withLock { $0 } }
        var waits: [Double] { all.compactMap { if case .waiting(_, _, let seconds) = $0 { seconds } else { nil } } }
        var discards: Int { all.count { if case .discarded = $0 { true } else { false } } }
        var received: Int { all.reduce(0) { if case .received(let bytes) = $1 { $0 + bytes } else { $0 } } }
    }

    static func run(_ body: (Stage) async throws -> Void) async throws {
        try await LocalHub.run({ try fill($0.appendingPathComponent("acme/prior")) }) { hub in
            try await body(Stage(hub: hub, place: TemporaryFolder("pull")))
        }
    }

    static func fill(
        _ repository: URL,
        weights: [String] = ["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"]
    ) throws {
        var files = [
            "model_index.json": 20, "scheduler/scheduler_config.json": 30, "unet/config.json": 40,
            "vae/config.json": 50,
            "README.md": 10, "sd_xl_base_1.0.safetensors": 100, "unet/diffusion_pytorch_model.bin": 100,
            "text_encoder/config.json": 60, "text_encoder/model.safetensors": 1000,
            "text_encoder/model.fp16.safetensors": 500,
            "text_encoder_2/config.json": 61, "text_encoder_2/model.safetensors": 1001,
            "tokenizer/merges.txt": 70, "tokenizer/vocab.json": 71, "tokenizer/README.md": 9,
            "tokenizer_2/merges.txt": 72,
            "vae_1_0/config.json": 51, "vae_1_0/diffusion_pytorch_model.safetensors": 2000,
        ]
        for name in weights {
            files["unet/\(name)"] = largeCount
            files["vae/\(name)"] = 3000
        }
        for (name, count) in files { try write(name, count: count, to: repository) }
    }

    /// Bytes that no other file has.
    static func write(_ name: String, count: Int, to folder: URL) throws {
        let seed = name.utf8.reduce(7) { ($0 &* 31 &+ Int($1)) & 0xFFFF }
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761 &+ seed) >> 11) }
        try put(Data(bytes), at: folder.appendingPathComponent(name))
    }

    static func put(_ data: Data, at url: URL) throws {
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try data.write(to: url)
    }

    var cache: URL { URL(fileURLWithPath: place.file("cache")) }
    var repository: URL { cache.appendingPathComponent("models--acme--prior") }
    var models: URL { URL(fileURLWithPath: place.file("models")) }
    var folder: URL { models.appendingPathComponent("acme--prior") }
    var snapshot: URL { repository.appendingPathComponent("snapshots/\(LocalHub.commit)") }

    func environment(_ changes: [String: String] = [:]) throws -> HubEnvironment {
        try HubEnvironment(
            ["HOME": place.path, "HF_ENDPOINT": hub.endpoint, "HF_HUB_CACHE": cache.path, "HF_TOKEN": "secret"].merging(
                changes
            ) { $1 })
    }

    @discardableResult
    func pull(
        _ name: String = "acme/prior", to folder: String? = nil, variant: String? = nil, withText: Bool = false,
        file: String? = nil,
        environment changes: [String: String] = [:], freeSpace: Int? = nil,
        transport: any HTTPTransport = CurlTransport()
    ) async throws -> ModelPuller.Pulled {
        let puller = ModelPuller(
            environment: try environment(changes), models: models, transport: transport,
            retry: RetryPolicy(attempts: 3, firstDelay: 0.01, longestWait: 5),
            freeSpace: { freeSpace ?? ModelPuller.freeSpace(in: $0) },
            report: { events.add($0) })
        return try await puller.pull(
            ModelName(name), to: folder.map { URL(fileURLWithPath: place.file($0)) }, variant: variant,
            withText: withText, file: file)
    }

    /// The error that a pull ends with.
    func failure(
        _ name: String = "acme/prior", to folder: String? = nil, environment: [String: String] = [:],
        freeSpace: Int? = nil, file: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> HubError {
        try await #require(throws: HubError.self, sourceLocation: sourceLocation) {
            try await pull(name, to: folder, file: file, environment: environment, freeSpace: freeSpace)
        }
    }

    /// The names of the files in a folder and below.
    func files(in folder: URL) -> [String] {
        ((try? FileManager.default.subpathsOfDirectory(atPath: folder.path)) ?? [])
            .filter { sizeOfFile(folder.appendingPathComponent($0)) != nil }.sorted()
    }

    /// Every file of the folder has the hub's bytes.
    func expectTheHubsBytes(
        in folder: URL, from repository: String = "acme/prior", sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for name in files(in: folder) {
            let same = try Data(contentsOf: folder.appendingPathComponent(name)) == hub.content("\(repository)/\(name)")
            #expect(same, "\(name)", sourceLocation: sourceLocation)
        }
    }

    /// Where the large file grows.
    var incomplete: URL { repository.appendingPathComponent("blobs/\(Self.unetHash).incomplete") }

    /// The ranges that were asked of the second server for the large file.
    func ranges() throws -> [String?] { try hub.requests().filter { $0.path == store }.map(\.range) }

    var store: String { "/store/acme/prior/" + Self.unet }
}

/// Something else happened than should have.
func unexpected(_ what: String, sourceLocation: SourceLocation = #_sourceLocation) {
    Issue.record("\(what)", sourceLocation: sourceLocation)
}
