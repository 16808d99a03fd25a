import Foundation
import LatentDiffusion
import TestSupport
import Testing

@testable import VisionXLCommand

/// Prompts and guidance on the command line, with a model of SDXL's shape and tiny networks.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct PromptTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    private static let model = projectRoot.appendingPathComponent("Tests/LatentDiffusionTests/Fixtures/text/model")
    private static let components = ["text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"]

    /// A copy of the model in the workplace.
    private func copyModel(to name: String, without lacking: [String] = []) throws {
        try FileManager.default.copyItem(at: Self.model, to: URL(fileURLWithPath: place.file(name)))
        for part in lacking { try FileManager.default.removeItem(atPath: place.file("\(name)/\(part)")) }
    }

    private func restore(_ output: String, _ arguments: String...) -> [String] {
        [
            "restore", "measurement.mkv", "-o", output, "--steps", "5", "--tau", "0.5", "--final-cg-steps", "0",
            "--data-step", "cg", "--cg-steps", "1", "--dtype", "float32",
        ] + arguments
    }

    private func measurement() async throws {
        try await place.clip("clip.mp4", frames: 2, size: "32x32")
        let outcome = try await place.visionxl("degrade", "clip.mp4", "-o", "measurement.mkv", "--task", "deblur")
        try #require(outcome.succeeded, "\(outcome)")
    }

    private func log(_ name: String) throws -> [String: Any] {
        try #require(JSONSerialization.jsonObject(with: place.data(name)) as? [String: Any])
    }

    @Test func words() async throws {
        try await measurement()
        try copyModel(to: "model")
        let cache = ["XDG_CACHE_HOME": place.file("cache")]
        func run(_ name: String, _ arguments: String..., model: String = "model") async throws -> [String] {
            let outcome = try await place.visionxl(
                restore("\(name).mkv", "--model", model, "--json", "\(name).json") + arguments, environment: cache)
            try #require(outcome.succeeded, "\(outcome)")
            return try await place.frames("\(name).mkv")
        }
        let null = try await run("null")
        #expect(try log("null.json")["textSource"] as? String == "encoders")
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.file("cache/visionxl")).count == 1)
        // From the cache, and as a prompt of its own: the same frames.
        #expect(try await run("again") == null)
        #expect(try log("again.json")["textSource"] as? String == "cache")
        #expect(try await run("empty", "--prompt", "") == null)
        let prompted = try await run("prompted", "--prompt", "a photo of a cat")
        #expect(prompted != null)
        // A prompt leaves nothing behind.
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.file("cache/visionxl")).count == 1)
        let guided = try await run(
            "guided", "--prompt", "a photo of a cat", "--negative-prompt", "blurry", "--guidance", "5")
        #expect(guided != prompted)
        let text = try #require(log("guided.json")["text"] as? [String: Any])
        #expect(
            text["prompt"] as? String == "a photo of a cat" && text["negativePrompt"] as? String == "blurry"
                && text["guidance"] as? Double == 5)
        // Without encoders the null prompt is zeros.
        try copyModel(to: "bare", without: Self.components)
        #expect(try await run("zeros", model: "bare") != null)
        #expect(try log("zeros.json")["textSource"] as? String == "zeros")
    }

    @Test func aLongPromptsEndIsNamed() async throws {
        try await measurement()
        try copyModel(to: "model")
        let prompt = [String](repeating: "a", count: 75).joined(separator: " ") + " and THE END"
        let outcome = try await place.visionxl(restore("out.mkv", "--model", "model", "--prompt", prompt))
        #expect(
            outcome.succeeded && outcome.messages.contains("take 77 tokens; left out of the prompt: and the end"),
            "\(outcome)")
    }

    @Test func whatCannotBeAskedForIsOneSentence() async throws {
        try await measurement()
        try copyModel(to: "bare", without: ["tokenizer_2", "text_encoder_2"])
        let before = try place.snapshot()
        func refuse(
            _ arguments: [String], saying words: String..., sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            expectOneSentence(try await place.visionxl(arguments), containing: words, sourceLocation: sourceLocation)
        }
        try await refuse(
            restore("out.mkv", "--model", "tiny", "--prompt", "a cat"), saying: "knows no text", "another model")
        try await refuse(
            restore("out.mkv", "--model", "bare", "--prompt", "a cat"), saying: "bare", "tokenizer_2, text_encoder_2",
            "models pull", "--text")
        #expect(try place.snapshot() == before)
    }

    @Test(arguments: [
        ["--guidance", "5"], ["--negative-prompt", "a"], ["--prompt", "a", "--guidance", "-1"],
        ["--prompt", "a", "--guidance", "nan"],
        ["--paper", "--prompt", "a"], ["--paper", "--prompt", "a", "--guidance", "2"],
    ]) func optionsThatMeanNothingAreRefused(arguments: [String]) {
        #expect(throws: (any Error).self) { try VisionXLCommand.parseAsRoot(["restore", "a", "-o", "b"] + arguments) }
    }

    @Test func optionsAreTheRequest() throws {
        let command = try #require(
            try VisionXLCommand.parseAsRoot([
                "restore", "a", "-o", "b", "--prompt", "x", "--negative-prompt", "", "--guidance", "0.6",
            ]) as? RestoreCommand)
        #expect(
            try command.asked.recipe(input: "a", output: "b").text
                == TextRequest(prompt: "x", negativePrompt: "", guidance: 0.6))
        let plain = try #require(try VisionXLCommand.parseAsRoot(["restore", "a", "-o", "b"]) as? RestoreCommand)
        #expect(try plain.asked.recipe(input: "a", output: "b").text == TextRequest())
    }

    // MARK: Models with text

    @Test func verifyingLooksAtTheEncoders() async throws {
        try copyModel(to: "model")
        let sound = try await place.visionxl("models", "verify", "model")
        #expect(sound.succeeded && sound.output.contains("The text encoders and tokenizers fit"), "\(sound)")
        let config = place.file("model/text_encoder_2/config.json")
        let text = try String(contentsOfFile: config, encoding: .utf8)
        try Data(text.replacingOccurrences(of: #""num_hidden_layers": 2"#, with: #""num_hidden_layers": 3"#).utf8)
            .write(to: URL(fileURLWithPath: config))
        let damaged = try await place.visionxl("models", "verify", "model")
        #expect(
            !damaged.succeeded && damaged.messages.contains("text_encoder_2") && damaged.messages.contains("layers.2"),
            "\(damaged)")
        // All of the text or none of it.
        try copyModel(to: "bare", without: Self.components)
        let bare = try await place.visionxl("models", "verify", "bare")
        #expect(
            bare.succeeded
                && bare.output.contains(
                    "not needed without a prompt: text_encoder, text_encoder_2, tokenizer, tokenizer_2"),
            "\(bare)")
        try copyModel(to: "half", without: ["tokenizer"])
        let half = try await place.visionxl("models", "verify", "half")
        #expect(!half.succeeded && half.output.contains("no folder 'tokenizer'"), "\(half)")
    }

    /// Fetched without text, a prompt says what to run; then it runs.
    @Test(.enabled(if: pythonIsInstalled, needsPythonAndCurl)) func fetchedWithoutTextAndWith() async throws {
        try await measurement()
        let model = Self.model
        try await LocalHub.run({
            try FileManager.default.createDirectory(
                at: $0.appendingPathComponent("acme"), withIntermediateDirectories: true)
            try FileManager.default.copyItem(at: model, to: $0.appendingPathComponent("acme/words"))
        }) { hub in
            let environment = [
                "HF_ENDPOINT": hub.endpoint, "HF_HOME": place.file("hf"), "HF_HUB_CACHE": "", "HF_TOKEN": "secret",
                "HF_HUB_OFFLINE": "0",
                "XDG_DATA_HOME": place.file("data"), "NO_PROXY": "*",
            ]
            let prompted = restore("out.mkv", "--model", "acme/words", "--prompt", "a photo of a cat")
            func pull(_ arguments: String...) async throws {
                let outcome = try await place.visionxl(
                    ["models", "pull", "acme/words"] + arguments, environment: environment)
                #expect(outcome.succeeded, "\(outcome)")
            }
            try await pull()
            let list = try await place.visionxl("models", "list", environment: environment)
            #expect(list.output.contains("acme/words\t") && !list.output.contains("damaged"), "\(list)")
            let refused = try await place.visionxl(prompted, environment: environment)
            expectOneSentence(refused, containing: ["run `visionxl models pull acme/words --text`"])
            try await pull("--text")
            let outcome = try await place.visionxl(prompted, environment: environment)
            #expect(outcome.succeeded, "\(outcome)")
            let verified = try await place.visionxl("models", "verify", "acme/words", environment: environment)
            #expect(verified.succeeded && verified.output.contains("text_encoder_2"), "\(verified)")
        }
    }
}
