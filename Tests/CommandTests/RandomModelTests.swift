import Foundation
import TestSupport
import Testing

/// `models random`, and the model that comes of it.
@Suite struct RandomModelCommandTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    @Test func madeCheckedAndNotReplaced() async throws {
        let command = ["models", "random", "sdxl", "made", "--size", "tiny", "--seed", "3"]
        let made = try await place.visionxl(command)
        #expect(made.succeeded && made.output == place.file("made") + "\n", "\(made)")
        #expect(
            made.messages.hasPrefix("writing 2 files, 19.2 MB in all\n")
                && made.messages.contains("10 million parameters"), "\(made)")
        let verified = try await place.visionxl("models", "verify", "made")
        #expect(
            verified.succeeded && verified.output.contains("620 tensors")
                && verified.output.contains("The networks fit"), "\(verified)")
        let before = try place.snapshot()
        let again = try await place.visionxl(command)
        #expect(!again.succeeded && again.messages.contains("not replaced"), "\(again)")
        let nowhere = try await place.visionxl("models", "random", "sdxl", "made/model_index.json/x", "--size", "tiny")
        #expect(!nowhere.succeeded && !nowhere.messages.contains("Fatal"), "\(nowhere)")
        #expect(try place.snapshot() == before)
    }

    @Test func quietly() async throws {
        let made = try await place.visionxl(
            "models", "random", "sdxl", "made", "--size", "tiny", "--dtype", "bfloat16", "--quiet")
        #expect(made.succeeded && made.messages.isEmpty, "\(made)")
    }

    /// Nothing is left of a model that was stopped. The small one is soon whole: a signal that came too late is sent to another.
    @Test(arguments: [SIGINT, SIGTERM]) func interrupted(signal: Int32) async throws {
        let command = ["models", "random", "sdxl", "made", "--size", "tiny", "--dtype", "float32"]
        for _ in 0..<20 {
            let outcome = try await place.visionxl(command, onceItSays: "writing 2 files") { kill($0.value, signal) }
            if outcome.succeeded {
                #expect(place.folder.contents == ["made"])
                try FileManager.default.removeItem(atPath: place.file("made"))
                continue
            }
            #expect(outcome.status == .exited(130), "\(outcome)")
            #expect(outcome.messages.contains("interrupted"), "\(outcome)")
            #expect(place.folder.contents.isEmpty)
            return
        }
        Issue.record("no signal came in time")
    }
}
