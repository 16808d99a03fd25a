import Foundation
import LatentDiffusion
import ModelHub
import Subprocess
import Synchronization
import TestSupport
import Testing
import Weights

@testable import VisionXLCommand

/// `models pull` from a hub on this machine, and the model that comes of it.
@Suite(.enabled(if: pythonIsInstalled, needsPythonAndCurl)) struct PullingTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    private func run(_ body: (LocalHub) async throws -> Void) async throws {
        try await LocalHub.run({ try TinyModel.write(to: $0.appendingPathComponent("acme/tiny")) }, body)
    }

    private func environment(_ hub: LocalHub, _ changes: [String: String] = [:]) -> [String: String] {
        [
            "HF_ENDPOINT": hub.endpoint, "HF_HOME": place.file("hf"), "HF_HUB_CACHE": "", "HF_TOKEN": "secret",
            "HF_HUB_OFFLINE": "0",
            "XDG_DATA_HOME": place.file("data"), "NO_PROXY": "*",
        ].merging(changes) { $1 }
    }

    private let unet = "unet/diffusion_pytorch_model.safetensors"
    private var folder: String { place.file("data/visionxl/models/acme--tiny") }

    @Test func pulledAndOpened() async throws {
        try await run { hub in
            let environment = environment(hub)
            let outcome = try await place.visionxl("models", "pull", "acme/tiny", environment: environment)
            #expect(outcome.succeeded, "\(outcome)")
            #expect(outcome.output == folder + "\n")
            let lines = outcome.messages.split(separator: "\n")
            #expect(
                lines.first?.hasPrefix("fetching 6 files, ") == true
                    && lines.last?.hasSuffix("open the model with --model acme/tiny") == true)
            #expect(!outcome.messages.contains("secret"))

            let list = try await place.visionxl("models", "list", environment: environment)
            #expect(
                list.output.contains("acme/tiny\t") && list.output.contains("million parameters\t\(folder)"), "\(list)")
            let verified = try await place.visionxl("models", "verify", "acme/tiny", environment: environment)
            #expect(verified.succeeded && verified.output.contains("The networks fit their weights."), "\(verified)")

            let again = try await place.visionxl("models", "pull", "acme/tiny", "--quiet", environment: environment)
            #expect(again.succeeded && again.messages.isEmpty && again.output == outcome.output)
        }
    }

    /// A model in one file: fetched, listed, checked, and run with another's autoencoder.
    @Test func aSingleFile() async throws {
        let random = URL(fileURLWithPath: place.file("random"))
        try RandomModel(.tiny, seed: 1, dtype: .float32).write(to: random)
        func fill(_ folder: URL) throws {
            let repository = folder.appendingPathComponent("acme/xl")
            try FileManager.default.createDirectory(at: repository, withIntermediateDirectories: true)
            try SafetensorsWriter.write(
                OriginalLayout.tensors(of: random), to: repository.appendingPathComponent("xl.safetensors"))
        }
        try await LocalHub.run(fill) { hub in
            let environment = environment(hub)
            let outcome = try await place.visionxl(
                "models", "pull", "acme/xl", "--file", "xl.safetensors", environment: environment)
            let path = place.file("data/visionxl/models/acme--xl--xl.safetensors/xl.safetensors")
            #expect(outcome.succeeded && outcome.output == path + "\n", "\(outcome)")
            #expect(outcome.messages.contains("--model acme/xl/xl.safetensors"))
            let list = try await place.visionxl("models", environment: environment)
            #expect(list.output.contains("acme/xl/xl.safetensors\t9.6 million parameters\t\(path)"), "\(list)")
            for name in ["acme/xl/xl.safetensors", path] {
                let verified = try await place.visionxl("models", "verify", name, environment: environment)
                #expect(
                    verified.succeeded && verified.output.contains("The networks fit their weights."), "\(verified)")
            }
        }
    }

    /// Ctrl-C in the middle, and the same command once more.
    @Test(arguments: [SIGINT, SIGTERM]) func interrupted(signal: Int32) async throws {
        try await run { hub in
            let environment = environment(hub)
            try hub.behave(["/store/acme/tiny/" + unet: [#"{"slow": 1}"#, "{}"]])
            let blobs = place.file("hf/hub/models--acme--tiny/blobs")
            let grown = { @Sendable in
                let names = (try? FileManager.default.contentsOfDirectory(atPath: blobs)) ?? []
                return names.contains { name in
                    let size = try? FileManager.default.attributesOfItem(atPath: blobs + "/" + name)[.size] as? Int
                    return name.hasSuffix(".incomplete") && size ?? 0 > 60_000
                }
            }
            let outcome = try await place.visionxl(
                ["models", "pull", "acme/tiny"], environment: environment, once: grown
            ) { kill($0.value, signal) }
            #expect(outcome.status == .exited(130), "\(outcome)")
            #expect(
                outcome.messages.split(separator: "\n").last
                    == "visionxl: interrupted; the same command goes on where this one stopped")
            #expect(grown())
            #expect(!place.exists("data"))
            let unknown = try await place.visionxl("models", "verify", "acme/tiny", environment: environment)
            expectOneSentence(unknown, containing: ["`visionxl models pull acme/tiny`"])

            let rest = try await place.visionxl("models", "pull", "acme/tiny", environment: environment)
            #expect(rest.succeeded && rest.messages.contains("of them there already"), "\(rest)")
            let requests = try hub.requests().filter { $0.path == "/store/acme/tiny/" + unet }
            let start = try #require(requests.last?.range?.split { "=-".contains($0) }.last.flatMap { Int($0) })
            #expect(requests.count == 2 && start > 60_000)
            let verified = try await place.visionxl("models", "verify", "acme/tiny", environment: environment)
            #expect(verified.succeeded, "\(verified)")
        }
    }

    /// What came is kept until it can be checked.
    @Test func nothingToCheckWith() async throws {
        try await run { hub in
            let tools = place.file("tools")
            try FileManager.default.createDirectory(atPath: tools, withIntermediateDirectories: true)
            for name in ["curl", "cat"] {
                try FileManager.default.createSymbolicLink(
                    atPath: tools + "/" + name, withDestinationPath: try #require(program(name)))
            }
            let outcome = try await place.visionxl(
                "models", "pull", "acme/tiny", environment: environment(hub, ["PATH": tools]))
            let lines = outcome.messages.split(separator: "\n")
            #expect(!outcome.succeeded && lines.count == 2 && lines[0].hasPrefix("fetching 6 files"), "\(outcome)")
            #expect(
                lines.last?.hasPrefix("visionxl: sha") == true && lines.last?.contains("sum was not found") == true,
                "\(outcome)")
            #expect(outcome.messages.contains("apt-get install coreutils") && !place.exists("data"))
            let rest = try await place.visionxl("models", "pull", "acme/tiny", environment: environment(hub))
            #expect(rest.succeeded && rest.messages.contains("of them there already"), "\(rest)")
        }
    }

    @Test func toAFolderAndFromAnAddress() async throws {
        try await run { hub in
            let address = hub.endpoint + "/plain/acme/tiny"
            let outcome = try await place.visionxl(
                "models", "pull", address, "--to", "here", environment: environment(hub))
            #expect(outcome.succeeded && outcome.output == place.file("here") + "\n", "\(outcome)")
            let verified = try await place.visionxl("models", "verify", "here")
            #expect(verified.succeeded, "\(verified)")
            #expect(!place.exists("hf") && !place.exists("data"))
        }
    }

    /// A host that only the proxy knows.
    @Test func throughAProxy() async throws {
        try await run { hub in
            let proxy = [
                "HF_ENDPOINT": "http://hub.invalid", "http_proxy": hub.endpoint, "NO_PROXY": "", "no_proxy": "",
            ]
            let outcome = try await place.visionxl("models", "pull", "acme/tiny", environment: environment(hub, proxy))
            #expect(outcome.succeeded, "\(outcome)")
            #expect(try hub.requests().contains { $0.host == "hub.invalid" })
        }
    }

    @Test func refusals() async throws {
        try await run { hub in
            func pull(_ arguments: String..., changes: [String: String] = [:]) async throws -> Outcome {
                try await place.visionxl(["models", "pull"] + arguments, environment: environment(hub, changes))
            }
            expectOneSentence(
                try await pull("acme/nothing"), containing: ["acme/nothing", "check the name", "HF_TOKEN"])
            expectOneSentence(try await pull("sdxl"), containing: ["stabilityai/stable-diffusion-xl-base-1.0"])
            expectOneSentence(
                try await pull("nonsense"),
                containing: ["\"nonsense\" is not the name of a model", "visionxl models --help"])
            expectOneSentence(try await pull("acme/tiny", "--variant", "../x"), containing: ["--variant"])
            expectOneSentence(
                try await pull("acme/tiny", changes: ["HF_ENDPOINT": "nonsense"]), containing: ["HF_ENDPOINT"])
            expectOneSentence(
                try await pull("acme/tiny", changes: ["HF_HUB_OFFLINE": "1"]),
                containing: ["HF_HUB_OFFLINE", "unset it"])
            expectOneSentence(
                try await pull("acme/tiny", changes: ["HF_HOME": "/dev/null/x"]), containing: ["/dev/null/x"])
            try hub.behave([
                "/api/models/acme/tiny/revision/main": [#"{"status": 403, "headers": {"X-Error-Code": "GatedRepo"}}"#]
            ])
            expectOneSentence(
                try await pull("acme/tiny"),
                containing: ["accept its licence at \(hub.endpoint)/acme/tiny", "HF_TOKEN"])
            #expect(!place.exists("data"))
        }
    }

    // MARK: What is shown

    @Test func progress() {
        let began = Date(timeIntervalSince1970: 0)
        let written = Mutex("")
        let display = PullDisplay(isQuiet: false, isTerminal: false) { text in written.withLock { $0 += text } }
        display.show(.planned(files: 2, bytes: 5_000_000_000, present: 1_000_000_000), now: began)
        display.show(.received(bytes: 100_000_000), now: began.addingTimeInterval(1))
        display.show(.received(bytes: 900_000_000), now: began.addingTimeInterval(10))
        display.show(.finished(file: "unet/config.json", bytes: 1700), now: began.addingTimeInterval(11))
        display.show(
            .waiting(subject: "vae/x", reason: "the line broke", seconds: 2), now: began.addingTimeInterval(12))
        display.show(
            .discarded(bytes: 500_000_000, file: "vae/x", reason: "it was damaged"), now: began.addingTimeInterval(13))
        display.show(.received(bytes: 1_000_000_000), now: began.addingTimeInterval(23))
        display.finish()
        #expect(
            written.withLock { $0 } == """
                fetching 2 files, 5.0 GB in all, 1.0 GB of them there already
                2.0 GB of 5.0 GB, 100.0 MB/s, 30 s left, 2 files to go
                unet/config.json, 1.7 kB
                vae/x: the line broke; again in 2 s
                vae/x: 500.0 MB are thrown away, it was damaged
                2.5 GB of 5.0 GB, 100.0 MB/s, 25 s left, 1 file to go

                """)
    }

    @Test func sizes() {
        #expect(
            [999, 1000, 999_999, 1_000_000, 5_135_149_760].map(sizeText) == [
                "999 bytes", "1.0 kB", "1000.0 kB", "1.0 MB", "5.1 GB",
            ])
    }
}
