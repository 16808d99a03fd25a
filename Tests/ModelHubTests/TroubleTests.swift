import Foundation
import TestSupport
import Testing

@testable import ModelHub

/// Lines that break, servers that say no, bytes that are wrong.
@Suite(.enabled(if: pythonIsInstalled, needsPythonAndCurl)) struct TroubleTests {
    // MARK: Going on

    @Test func dropsInTheMiddle() async throws {
        try await Stage.run { stage in
            // Four drops, more than the attempts that are made in vain.
            let steps = [100_000, 100_000, 1, 50_000].map { "{\"cut\": \($0)}" } + ["{}"]
            try stage.hub.behave([stage.store: steps])
            try await stage.pull()
            try stage.expectTheHubsBytes(in: stage.folder)
            #expect(try stage.ranges() == [nil, "bytes=100000-", "bytes=200000-", "bytes=200001-", "bytes=250001-"])
            #expect(stage.events.discards == 0)
            #expect(stage.events.waits.count == 4 && stage.events.waits.allSatisfy { $0 < 0.1 })
        }
    }

    @Test func fromAnEarlierRun() async throws {
        try await Stage.run { stage in
            try Stage.put(try stage.hub.content("acme/prior/" + Stage.unet).prefix(123_456), at: stage.incomplete)
            let model = try await stage.pull()
            try stage.expectTheHubsBytes(in: stage.folder)
            #expect(try stage.ranges() == ["bytes=123456-"])
            #expect(stage.events.received == model.bytes - 123_456)
            #expect(stage.events.all.contains(.planned(files: 6, bytes: model.bytes, present: 123_456)))
        }
    }

    /// All is there, and only the name was missing.
    @Test func aWholeFileWithoutItsName() async throws {
        try await Stage.run { stage in
            try Stage.put(try stage.hub.content("acme/prior/" + Stage.unet), at: stage.incomplete)
            try await stage.pull()
            #expect(try stage.ranges().isEmpty)
            try stage.expectTheHubsBytes(in: stage.folder)
        }
    }

    /// What an earlier run left is not the file's: it is found out at the end and fetched anew once.
    @Test(arguments: [1000, 400_000]) func fromADamagedStart(count: Int) async throws {
        try await Stage.run { stage in
            try Stage.put(Data(count: count), at: stage.incomplete)
            try await stage.pull()
            try stage.expectTheHubsBytes(in: stage.folder)
            #expect(try stage.ranges() == (count < Stage.largeCount ? ["bytes=1000-", nil] : [nil]))
        }
    }

    @Test func aServerWithoutRanges() async throws {
        try await Stage.run { stage in
            try stage.hub.behave([stage.store: [#"{"cut": 100000, "whole": true}"#, #"{"whole": true}"#]])
            try await stage.pull()
            try stage.expectTheHubsBytes(in: stage.folder)
            #expect(try stage.ranges() == [nil, "bytes=100000-"])
            #expect(stage.events.discards == 1)
        }
    }

    @Test func anAddressGoesOnByItsETag() async throws {
        try await Stage.run { stage in
            let path = "/plain/acme/prior/" + Stage.unet
            let address = stage.hub.endpoint + "/plain/acme/prior"
            try stage.hub.behave([path: ["{}", #"{"cut": 70000}"#, #"{"status": 404}"#]])
            guard case .noSuchFile = try await stage.failure(address) else { return unexpected("there was an answer") }
            try stage.hub.behave([:])
            stage.hub.forgetRequests()
            let model = try await stage.pull(address)
            try stage.expectTheHubsBytes(in: model.folder)
            #expect(
                try stage.hub.requests().filter { $0.path == path && $0.method == "GET" }.map(\.range) == [
                    "bytes=70000-"
                ])
            #expect(
                try !FileManager.default.subpathsOfDirectory(atPath: model.folder.path).contains {
                    $0.hasSuffix("incomplete")
                })
        }
    }

    // MARK: Waiting

    @Test func retryAfter() async throws {
        try await Stage.run { stage in
            try stage.hub.behave([
                "/api/models/acme/prior/revision/main": [#"{"status": 429, "headers": {"Retry-After": "1"}}"#, "{}"],
                stage.store: [#"{"status": 503}"#, #"{"status": 500}"#, "{}"],
            ])
            let began = Date()
            try await stage.pull()
            #expect(Date().timeIntervalSince(began) >= 1)
            try stage.expectTheHubsBytes(in: stage.folder)
            #expect(stage.events.waits.count == 3 && stage.events.waits.first == 1)
        }
    }

    @Test func tooLong() async throws {
        try await Stage.run { stage in
            try stage.hub.behave([
                "/api/models/acme/prior/revision/main": [#"{"status": 429, "headers": {"Retry-After": "3600"}}"#]
            ])
            #expect(try await stage.failure() == .waitTooLong(host: "127.0.0.1:\(stage.hub.port)", seconds: 3600))
        }
    }

    @Test func neverWell() async throws {
        try await Stage.run { stage in
            try stage.hub.behave([stage.store: [#"{"cut": 1000}"#, #"{"status": 503}"#]])
            let error = try await stage.failure()
            #expect(
                error == .refused(host: "127.0.0.1:\(stage.hub.port)", status: 503, reason: "")
                    || error == .refused(host: "localhost:\(stage.hub.otherPort)", status: 503, reason: ""))
            // What has come stays for the next time.
            #expect(sizeOfFile(stage.incomplete) == 1000)
            #expect(!FileManager.default.fileExists(atPath: stage.folder.path))
        }
    }

    @Test func nobodyThere() async throws {
        try await Stage.run { stage in
            // Nothing listens on port 1.
            let error = try await stage.failure(environment: ["HF_ENDPOINT": "http://127.0.0.1:1"])
            guard case .unreachable("127.0.0.1:1", _) = error else { return unexpected("\(error)") }
            #expect(stage.events.waits.count == 2)
        }
    }

    @Test func anotherProgramIsAtIt() async throws {
        try await Stage.run { stage in
            let lock = try await FileLock(
                stage.cache.appendingPathComponent(".locks/models--acme--prior/\(Stage.unetHash).lock")
            ) {}
            async let model = stage.pull()
            #expect(try await eventually { stage.events.all.contains(.waitingForAnother(file: Stage.unet)) })
            // The other one is done.
            let blob = stage.repository.appendingPathComponent("blobs/\(Stage.unetHash)")
            try Stage.put(stage.hub.content("acme/prior/" + Stage.unet), at: blob)
            lock.release()
            _ = try await model
            #expect(try stage.ranges().isEmpty)
            try stage.expectTheHubsBytes(in: stage.folder)
        }
    }

    // MARK: Wrong bytes

    @Test func wrongBytesAreThrownAway() async throws {
        try await Stage.run { stage in
            try stage.hub.behave([stage.store: [#"{"flip": 200000}"#]])
            let error = try await stage.failure()
            guard case .wrongBytes(Stage.unet, expected: Stage.unetHash, found: let found) = error else {
                return unexpected("\(error)")
            }
            #expect(found != Stage.unetHash)
            let blobs = try FileManager.default.contentsOfDirectory(
                atPath: stage.repository.appendingPathComponent("blobs").path)
            #expect(!blobs.contains { $0.hasPrefix(Stage.unetHash) })
            #expect(!FileManager.default.fileExists(atPath: stage.folder.path))
        }
    }

    /// A small file has git's hash.
    @Test func wrongBytesOfASmallFile() async throws {
        try await Stage.run { stage in
            try stage.hub.behave(["/resolve-cache/acme/prior/vae/config.json": [#"{"flip": 3}"#]])
            let error = try await stage.failure()
            guard case .wrongBytes("vae/config.json", _, _) = error else { return unexpected("\(error)") }
        }
    }

    @Test(arguments: ["{\"append\": 10}", "{\"append\": 500000}"]) func wrongSizes(step: String) async throws {
        try await Stage.run { stage in
            try stage.hub.behave([stage.store: [step]])
            let error = try await stage.failure()
            guard case .wrongSize(Stage.unet, expected: Stage.largeCount, _) = error else {
                return unexpected("\(error)")
            }
            #expect(sizeOfFile(stage.incomplete) ?? 0 == 0)
        }
    }

    // MARK: Refusals

    @Test func withoutAToken() async throws {
        try await Stage.run { stage in
            let api = "/api/models/acme/prior/revision/main"
            let page = stage.hub.endpoint + "/acme/prior"
            try stage.hub.behave([api: [#"{"token": "other"}"#]])
            #expect(try await stage.failure() == .denied(model: "acme/prior", status: 401, page: page))
            try stage.hub.behave([api: [#"{"status": 403, "headers": {"X-Error-Code": "GatedRepo"}}"#]])
            #expect(try await stage.failure() == .denied(model: "acme/prior", status: 403, page: page))
            #expect("\(HubError.denied(model: "acme/prior", status: 403, page: page))".contains("HF_TOKEN"))
            try stage.hub.behave([api: [#"{"token": "other"}"#]])
            try await stage.pull(environment: ["HF_TOKEN": "other"])
        }
    }

    @Test func noSuchModel() async throws {
        try await Stage.run { stage in
            let error = try await stage.failure("acme/nothing")
            #expect(error == .noSuchModel(model: "acme/nothing", host: "127.0.0.1:\(stage.hub.port)"))
            // One request: asking again would not help.
            let requests = try stage.hub.requests()
            #expect(requests.count == 1)
        }
    }

    @Test func notAModel() async throws {
        try await Stage.run { stage in
            let folder = URL(fileURLWithPath: stage.hub.folder.file("acme/words"))
            try Stage.write("config.json", count: 9, to: folder)
            #expect(
                try await stage.failure("acme/words")
                    == .incompleteModel(model: "acme/words", lacks: "scheduler/scheduler_config.json"))
            try Stage.fill(folder, weights: ["diffusion_pytorch_model.bin"])
            #expect(try await stage.failure("acme/words") == .pickleOnly(model: "acme/words", component: "unet"))
        }
    }

    @Test func nonsense() async throws {
        try await Stage.run { stage in
            try stage.hub.behave(["/api/models/acme/prior/revision/main": [#"{"status": 200}"#]])
            guard case .badAnswer = try await stage.failure() else { return unexpected("nonsense was understood") }
        }
    }

    @Test func noSpace() async throws {
        try await Stage.run { stage in
            let needed = 20 + 30 + 40 + 50 + 3000 + Stage.largeCount
            let full = HubError.noSpace(folder: stage.cache.path, needed: needed, free: needed - 1)
            #expect(try await stage.failure(freeSpace: needed - 1) == full)
            #expect(try stage.hub.requests().allSatisfy { $0.path.hasPrefix("/api/") })
            // What is there need not come.
            try Stage.put(try stage.hub.content("acme/prior/" + Stage.unet).prefix(1), at: stage.incomplete)
            try await stage.pull(freeSpace: needed - 1)
        }
    }

    @Test func aDamagedCache() async throws {
        try await Stage.run { stage in
            try await stage.pull()
            let blob = stage.snapshot.appendingPathComponent(Stage.unet).resolvingSymlinksInPath()
            try Data("short".utf8).write(to: blob)
            guard case .damagedCache(let path) = try await stage.failure() else { return unexpected("it was taken") }
            #expect(path.hasSuffix(Stage.unet))
        }
    }

    // MARK: Stopping

    @Test func cancelled() async throws {
        try await Stage.run { stage in
            try stage.hub.behave([stage.store: [#"{"slow": 0.3}"#, "{}"]])
            let task = Task { try await stage.pull() }
            #expect(try await eventually { sizeOfFile(stage.incomplete) ?? 0 > 60_000 })
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            let kept = try #require(sizeOfFile(stage.incomplete))
            #expect(kept > 60_000 && kept < Stage.largeCount)
            try await stage.pull()
            #expect(try stage.ranges() == [nil, "bytes=\(kept)-"])
            try stage.expectTheHubsBytes(in: stage.folder)
        }
    }
}
