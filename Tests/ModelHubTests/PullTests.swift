import Foundation
import TestSupport
import Testing

@testable import ModelHub

/// Which files are fetched, from where, and where they go.
@Suite(.enabled(if: pythonIsInstalled, needsPythonAndCurl)) struct PullTests {
    private let needed = [
        "model_index.json", "scheduler/scheduler_config.json", "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
    ]

    @Test func whatIsNeededAndNoMore() async throws {
        try await Stage.run { stage in
            let model = try await stage.pull()
            #expect(model.name == "acme/prior" && model.folder.path == stage.folder.path && model.files == 6)
            #expect(model.bytes == 20 + 30 + 40 + 50 + 3000 + Stage.largeCount)
            #expect(stage.files(in: stage.folder) == needed)
            #expect(stage.files(in: stage.snapshot) == needed)
            try stage.expectTheHubsBytes(in: stage.folder)
            #expect(stage.events.received == model.bytes)
            #expect(try stage.hub.requests().filter { $0.server == "other" }.count == 2)
        }
    }

    /// The layout that Python's huggingface_hub reads and writes.
    @Test func cacheLayout() async throws {
        try await Stage.run { stage in
            try await stage.pull()
            let manager = FileManager.default
            #expect(
                try String(contentsOf: stage.repository.appendingPathComponent("refs/main"), encoding: .utf8)
                    == LocalHub.commit)
            #expect(
                try manager.destinationOfSymbolicLink(atPath: stage.snapshot.appendingPathComponent(Stage.unet).path)
                    == "../../../blobs/\(Stage.unetHash)")
            let index = try manager.destinationOfSymbolicLink(
                atPath: stage.snapshot.appendingPathComponent("model_index.json").path)
            let blob = try await output(
                of: "git", ["hash-object", stage.hub.folder.file("acme/prior/model_index.json")])
            #expect(index == "../../blobs/" + blob.trimmingCharacters(in: .whitespacesAndNewlines))
            let blobs = try manager.contentsOfDirectory(atPath: stage.repository.appendingPathComponent("blobs").path)
            #expect(blobs.count == 6 && !blobs.contains { $0.hasSuffix("incomplete") })
            #expect(
                manager.fileExists(
                    atPath: stage.cache.appendingPathComponent(".locks/models--acme--prior/\(Stage.unetHash).lock").path
                ))
        }
    }

    /// What is there is not fetched again, whoever has fetched it, and a file of another commit with the same bytes is only linked.
    @Test func nothingTwice() async throws {
        try await Stage.run { stage in
            try await stage.pull()
            try FileManager.default.removeItem(at: stage.snapshot)
            try FileManager.default.removeItem(at: stage.models)
            stage.hub.forgetRequests()
            try await stage.pull()
            #expect(try stage.hub.requests().allSatisfy { $0.path.hasPrefix("/api/") })
            #expect(stage.files(in: stage.folder) == needed)
        }
    }

    @Test func theTokenStaysHome() async throws {
        try await Stage.run { stage in
            try await stage.pull()
            let requests = try stage.hub.requests()
            for request in requests {
                #expect(request.authorization == (request.server == "main" ? "Bearer secret" : nil), "\(request)")
            }
            #expect(requests.contains { $0.server == "other" && $0.host == "localhost:\(stage.hub.otherPort)" })
        }
    }

    @Test func variants() async throws {
        try await Stage.run { stage in
            try await stage.pull(variant: "fp16")
            #expect(
                stage.files(in: stage.folder).filter { $0.hasSuffix("safetensors") } == [
                    "unet/diffusion_pytorch_model.fp16.safetensors", "vae/diffusion_pytorch_model.fp16.safetensors",
                ])
            // The other files take their places: the model is what was asked for last.
            try await stage.pull()
            #expect(stage.files(in: stage.folder) == needed)
        }
    }

    @Test func textWhenAsked() async throws {
        try await Stage.run { stage in
            try await stage.pull(variant: "fp16", withText: true)
            #expect(
                stage.files(in: stage.folder).filter { $0.hasPrefix("t") } == [
                    "text_encoder/config.json", "text_encoder/model.fp16.safetensors", "text_encoder_2/config.json",
                    "text_encoder_2/model.safetensors", "tokenizer/merges.txt", "tokenizer/vocab.json",
                    "tokenizer_2/merges.txt",
                ])
        }
    }

    @Test func shards() async throws {
        let index =
            #"{"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors", "c": "model-1-of-2.safetensors"}}"#
        func fill(_ folder: URL) throws {
            let repository = folder.appendingPathComponent("acme/prior")
            try Stage.fill(
                repository,
                weights: ["model-1-of-2.safetensors", "model-2-of-2.safetensors", "model-3-of-2.safetensors"])
            for component in ["unet", "vae"] {
                try Stage.put(
                    Data(index.utf8),
                    at: repository.appendingPathComponent("\(component)/diffusion_pytorch_model.safetensors.index.json")
                )
            }
        }
        try await LocalHub.run(fill) { hub in
            let stage = Stage(hub: hub, place: try TemporaryFolder("pull"))
            for name in ["acme/prior", "\(hub.endpoint)/plain/acme/prior"] {
                let model = try await stage.pull(name)
                #expect(
                    stage.files(in: model.folder).filter { $0.hasPrefix("unet") } == [
                        "unet/config.json", "unet/diffusion_pytorch_model.safetensors.index.json",
                        "unet/model-1-of-2.safetensors",
                        "unet/model-2-of-2.safetensors",
                    ])
                try stage.expectTheHubsBytes(in: model.folder)
            }
        }
    }

    /// SDXL is of two repositories: U-Net and schedule of one, the autoencoder of another.
    @Test func sdxl() async throws {
        let base = "stabilityai/stable-diffusion-xl-base-1.0", autoencoder = "madebyollin/sdxl-vae-fp16-fix"
        func fill(_ folder: URL) throws {
            try Stage.fill(folder.appendingPathComponent(base))
            for (name, count) in [
                "config.json": 55, "diffusion_pytorch_model.safetensors": 5000, "sdxl_vae.safetensors": 5001,
                "README.md": 5,
            ] {
                try Stage.write(name, count: count, to: folder.appendingPathComponent(autoencoder))
            }
        }
        try await LocalHub.run(fill) { hub in
            let stage = Stage(hub: hub, place: try TemporaryFolder("pull"))
            let model = try await stage.pull("sdxl")
            #expect(model.folder.path == stage.models.path + "/sdxl")
            #expect(
                stage.files(in: model.folder) == [
                    "model_index.json", "scheduler/scheduler_config.json", "unet/config.json",
                    "unet/diffusion_pytorch_model.fp16.safetensors",
                    "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
                ])
            let vae = try Data(
                contentsOf: model.folder.appendingPathComponent("vae/diffusion_pytorch_model.safetensors"))
            #expect(try vae == hub.content(autoencoder + "/diffusion_pytorch_model.safetensors"))
            #expect(try !hub.requests().contains { $0.path.contains("base-1.0") && $0.path.contains("/vae/") })
            // The same as plain files, out of the cache.
            hub.forgetRequests()
            _ = try await stage.pull("sdxl", to: "plain")
            let plain = URL(fileURLWithPath: stage.place.file("plain"))
            #expect(stage.files(in: plain) == stage.files(in: model.folder))
            #expect(stage.files(in: plain).allSatisfy { !isLink(plain.appendingPathComponent($0)) })
            #expect(try hub.requests().allSatisfy { $0.path.hasPrefix("/api/") })
        }
    }

    /// A mirror without trees of files: sizes and hashes come from the files' own heads.
    @Test func withoutATree() async throws {
        try await Stage.run { stage in
            try stage.hub.behave(["/api/models/acme/prior/tree/\(LocalHub.commit)": [#"{"status": 404}"#]])
            try await stage.pull()
            #expect(stage.files(in: stage.snapshot) == needed)
            try stage.expectTheHubsBytes(in: stage.folder)
            #expect(
                FileManager.default.fileExists(
                    atPath: stage.repository.appendingPathComponent("blobs/\(Stage.unetHash)").path))
            // The hash of the head is held against the bytes, too.
            try FileManager.default.removeItem(at: stage.cache)
            try stage.hub.behave([
                "/api/models/acme/prior/tree/\(LocalHub.commit)": [#"{"status": 404}"#], stage.store: [#"{"flip": 5}"#],
            ])
            guard case .wrongBytes = try await stage.failure() else { return unexpected("the bytes were taken") }
        }
    }

    @Test func revisions() async throws {
        try await Stage.run { stage in
            let model = try await stage.pull("acme/prior@v1")
            #expect(model.folder.lastPathComponent == "acme--prior@v1")
            #expect(
                try String(contentsOf: stage.repository.appendingPathComponent("refs/v1"), encoding: .utf8)
                    == LocalHub.commit)
            try await stage.pull("acme/prior@" + LocalHub.commit)
            #expect(try await stage.failure("acme/prior@v2") == .noSuchRevision(model: "acme/prior", revision: "v2"))
        }
    }

    // MARK: Single files

    private let file = "sd_xl_base_1.0.safetensors"

    @Test func aSingleFileAlone() async throws {
        try await Stage.run { stage in
            let model = try await stage.pull(file: file)
            #expect(model.name == "acme/prior/" + file && model.files == 1 && model.bytes == 100)
            #expect(model.folder.path == stage.models.path + "/acme--prior--" + file)
            #expect(stage.files(in: model.folder) == [file])
            try stage.expectTheHubsBytes(in: model.folder)
            #expect(stage.files(in: stage.snapshot) == [file])
            // The whole of the repository is another model.
            let whole = try await stage.pull()
            #expect(stage.files(in: whole.folder) == needed)
            #expect(stage.files(in: model.folder) == [file])

            let plain = try await stage.pull(to: "plain", file: file)
            #expect(plain.folder.path == stage.place.file("plain") && stage.files(in: plain.folder) == [file])
        }
    }

    @Test func singleFilesThatAreNotThere() async throws {
        try await Stage.run { stage in
            #expect(
                try await stage.failure(file: "other.safetensors")
                    == .lacksFile(model: "acme/prior", file: "other.safetensors"))
            for name in ["model.ckpt", "../x.safetensors", "a//b.safetensors", "-x.safetensors", ""] {
                #expect(try await stage.failure(file: name) == .badFileName(name))
            }
            let offline = try await stage.failure(environment: ["HF_HUB_OFFLINE": "1"], file: file)
            guard case .notInCache = offline else { return unexpected("\(offline)") }
        }
    }

    /// A repository without diffusers' folders says what it has.
    @Test func aRepositoryOfSingleFiles() async throws {
        func fill(_ folder: URL) throws {
            for name in [file, "README.md"] {
                try Stage.write(name, count: 10, to: folder.appendingPathComponent("acme/prior"))
            }
        }
        try await LocalHub.run(fill) { hub in
            let stage = Stage(hub: hub, place: try TemporaryFolder("pull"))
            #expect(try await stage.failure() == .singleFiles(model: "acme/prior", files: [file]))
            #expect(try await stage.pull(file: file).files == 1)
        }
    }

    // MARK: Addresses and folders

    @Test func anAddress() async throws {
        try await Stage.run { stage in
            let model = try await stage.pull("http://localhost:\(stage.hub.otherPort)/plain/acme/prior/")
            #expect(model.folder.path == stage.models.path + "/prior")
            #expect(stage.files(in: model.folder) == needed)
            try stage.expectTheHubsBytes(in: model.folder)
            // The hub's token is the hub's.
            #expect(try stage.hub.requests().allSatisfy { $0.authorization == nil })
            stage.hub.forgetRequests()
            _ = try await stage.pull("http://localhost:\(stage.hub.otherPort)/plain/acme/prior")
            #expect(try stage.hub.requests().allSatisfy { $0.method == "HEAD" })
            let error = try await stage.failure("\(stage.hub.endpoint)/plain/acme/nothing")
            #expect(
                error
                    == .incompleteModel(
                        model: "\(stage.hub.endpoint)/plain/acme/nothing", lacks: "scheduler/scheduler_config.json"))
        }
    }

    @Test func aFolderOfFiles() async throws {
        try await Stage.run { stage in
            let plain = URL(fileURLWithPath: stage.place.file("plain"))
            try Stage.put(
                stage.hub.content("acme/prior/unet/config.json"), at: plain.appendingPathComponent("unet/config.json"))
            let model = try await stage.pull(to: "plain")
            #expect(model.folder.path == plain.path)
            #expect(try FileManager.default.subpathsOfDirectory(atPath: plain.path).count == needed.count + 3)
            #expect(stage.files(in: plain) == needed)
            #expect(!FileManager.default.fileExists(atPath: stage.cache.path))
            #expect(try !stage.hub.requests().contains { $0.path.hasSuffix("unet/config.json") })
        }
    }

    /// Same size, other bytes: found by its hash, and left as it is.
    @Test(arguments: ["unet/config.json", Stage.unet]) func nothingIsOverwritten(name: String) async throws {
        try await Stage.run { stage in
            let file = URL(fileURLWithPath: stage.place.file("plain/" + name))
            var bytes = try stage.hub.content("acme/prior/" + name)
            bytes[7] ^= 1
            try Stage.put(bytes, at: file)
            #expect(try await stage.failure(to: "plain") == .differs(path: file.path))
            #expect(try Data(contentsOf: file) == bytes)
            #expect(stage.files(in: URL(fileURLWithPath: stage.place.file("plain"))) == [name])
        }
    }

    @Test func aModelOfOnesOwnIsNotReplaced() async throws {
        try await Stage.run { stage in
            let file = stage.folder.appendingPathComponent("unet/config.json")
            try Stage.put(Data("mine".utf8), at: file)
            #expect(try await stage.failure() == .notALink(path: file.path))
            #expect(try Data(contentsOf: file) == Data("mine".utf8))
        }
    }

    @Test func oneFolderOnePull() async throws {
        try await Stage.run { stage in
            try FileManager.default.createDirectory(
                atPath: stage.place.file("plain"), withIntermediateDirectories: true)
            let lock = try FileLock(folder: URL(fileURLWithPath: stage.place.file("plain")))
            #expect(try await stage.failure(to: "plain") == .inUse(folder: stage.place.file("plain")))
            lock.release()
            try await stage.pull(to: "plain")
        }
    }

    // MARK: Offline

    @Test func offline() async throws {
        try await Stage.run { stage in
            let offline = ["HF_HUB_OFFLINE": "1"]
            let lacks = HubError.notInCache(
                model: "acme/prior", lacks: "scheduler/scheduler_config.json", cache: stage.cache.path)
            #expect(try await stage.failure(environment: offline) == lacks)
            try await stage.pull()
            try FileManager.default.removeItem(at: stage.models)
            stage.hub.forgetRequests()
            try await stage.pull(environment: offline)
            #expect(stage.files(in: stage.folder) == needed)
            #expect(try stage.hub.requests().isEmpty)
            // A link without its blob is no file.
            try FileManager.default.removeItem(
                at: stage.snapshot.appendingPathComponent(Stage.unet).resolvingSymlinksInPath())
            #expect(
                try await stage.failure(environment: offline)
                    == .notInCache(model: "acme/prior", lacks: "weights in unet/", cache: stage.cache.path))
        }
    }
}
