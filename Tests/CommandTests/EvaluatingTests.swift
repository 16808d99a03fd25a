import Foundation
import TestSupport
import Testing

/// The real program compares methods on real little videos.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct EvaluatingTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    /// In a fifth of the steps: the tiny model restores nothing anyway.
    private static let quick = ["--model", "tiny", "--steps", "5", "--tau", "0.5"]

    private func results(_ folder: String) throws -> [[String: Any]] {
        let document = try JSONSerialization.jsonObject(with: place.data(folder + "/results.json")) as? [String: Any]
        return try #require(document?["cells"] as? [[String: Any]])
    }

    @Test func comparesMethodsAndGoesOn() async throws {
        try FileManager.default.createDirectory(atPath: place.file("clips"), withIntermediateDirectories: true)
        try await place.clip("clips/wide.mp4", frames: 3)
        try await place.clip("clips/tall.mkv", frames: 4, size: "48x64")
        let command =
            [
                "evaluate", "clips", "-o", "out", "--size", "original", "--tasks", "sr4,average", "--methods",
                "visionxl,cg,upsampling", "--metrics",
                "psnr,ssim,temporal-error", "--measurement", "float,8bit",
            ] + Self.quick
        let first = try await place.visionxl(command)
        try #require(first.succeeded, "\(first)")
        #expect(try results("out").count == 2 * 2 * 2 * 3)
        #expect(first.output.contains("| upsampling |") && first.output.contains("sr4 PSNR"))
        for name in [
            "out/tables.md", "out/report.html", "out/cells/wide/sr4/8bit/visionxl/detail.png",
            "out/cells/tall/truth.json",
        ] {
            #expect(place.exists(name), "\(name)")
        }
        // An average over 7 of 3 or 4 frames can be undone: the reader is told.
        #expect(first.output.contains("no common factor"))
        // The same again restores nothing; one method more restores its own cells.
        let again = try await place.visionxl(command)
        #expect(again.succeeded && again.output == first.output, "\(again)")
        #expect(again.messages.components(separatedBy: "from an earlier run").count - 1 == 24)
        let more = try await place.visionxl(command.map { $0 == "visionxl,cg,upsampling" ? "visionxl,adjoint" : $0 })
        #expect(more.messages.components(separatedBy: "from an earlier run").count - 1 == 8)
        #expect(try results("out").count == 16)
    }

    @Test(arguments: ["start", "tau", "cg", "lowpass", "data-step", "parts"])
    func variesOnePart(_ ablation: String) async throws {
        try await place.clip("clip.mp4", frames: 2)
        let outcome = try await place.visionxl(
            [
                "evaluate", "clip.mp4", "-o", "out", "--size", "original", "--tasks", "inpaint", "--metrics", "psnr",
                "--ablation", ablation,
            ] + Self.quick)
        try #require(outcome.succeeded, "\(outcome)")
        // Variants of one start are different results.
        let means = try results("out").compactMap {
            (($0["scores"] as? [String: Any])?["psnr"] as? [String: Any])?["mean"] as? Double
        }
        #expect(means.count >= 3)
        #expect(Set(means).count > 1)
    }

    /// An autoencoder that loses detail has a part of its own, what comes back of it.
    @Test func partsWithALossyAutoencoder() async throws {
        try await place.clip("clip.mp4", frames: 2)
        let outcome = try await place.visionxl(
            "evaluate", "clip.mp4", "-o", "out", "--size", "original", "--tasks", "sr4", "--metrics", "psnr",
            "--ablation", "parts", "--model", projectRoot.path + "/Tests/Golden/tiny-sdxl", "--steps", "5", "--tau",
            "0.5")
        try #require(outcome.succeeded, "\(outcome)")
        func psnr(_ method: String) throws -> Double {
            let cell = try #require(
                results("out").first { ($0["settings"] as? [String: Any])?["method"] as? String == method })
            return try #require(((cell["scores"] as? [String: Any])?["psnr"] as? [String: Any])?["mean"] as? Double)
        }
        #expect(try psnr("no autoencoder's residual") != psnr("this program"))
        #expect(try psnr("the paper") != psnr("this program"))
    }

    /// An evaluation measures the program that people run: the same file, the same noise, the same frames.
    @Test func restoresAsRestoreDoes() async throws {
        try await place.clip("source.mp4", frames: 3)
        // Of 8 bits and of red, green and blue, as an evaluation's truth is.
        try await place.tool(
            "ffmpeg", ["-v", "error", "-i", "source.mp4", "-c:v", "ffv1", "-pix_fmt", "bgr0", "clip.mkv"])
        let same = Self.quick + ["--dtype", "float32"]
        let outcome = try await place.visionxl(
            [
                "evaluate", "clip.mkv", "-o", "out", "--size", "original", "--tasks", "deblur", "--methods", "visionxl",
                "--metrics", "psnr",
                "--measurement", "h264:16", "--keep-frames",
            ] + same)
        try #require(outcome.succeeded, "\(outcome)")
        // x264's quality is 16 there, too.
        let degraded = try await place.visionxl("degrade", "clip.mkv", "-o", "m.mp4", "--task", "deblur")
        try #require(degraded.succeeded, "\(degraded)")
        let restored = try await place.visionxl(["restore", "m.mp4", "-o", "r.mkv", "--bits", "16"] + same)
        try #require(restored.succeeded, "\(restored)")
        #expect(try await place.frames("out/cells/clip/deblur/h264_3a_16/visionxl/frames.mkv") == place.frames("r.mkv"))
    }

    @Test func refusals() async throws {
        try await place.clip("clip.mp4", frames: 2)
        try FileManager.default.createDirectory(atPath: place.file("folder"), withIntermediateDirectories: true)
        try place.write("mine", to: "folder/notes.txt")
        expectOneSentence(try await place.visionxl("evaluate", "none.mp4", "-o", "out"), containing: ["none.mp4"])
        expectOneSentence(try await place.visionxl("evaluate", "folder", "-o", "out"), containing: ["no videos"])
        expectOneSentence(
            try await place.visionxl("evaluate", "clip.mp4", "-o", "folder", "--size", "original", "--methods", "cg"),
            containing: ["no results of an evaluation"])
        // A size that the task cannot have.
        expectOneSentence(
            try await place.visionxl(
                "evaluate", "clip.mp4", "-o", "out", "--size", "30x30", "--tasks", "inpaint,sr4", "--methods", "cg"),
            containing: ["30x30"])
        #expect(!place.exists("out"))
        #expect(try place.data("folder/notes.txt") == Data("mine".utf8))
    }

    /// A method whose prior is not there fails alone.
    @Test func aMissingPriorIsSaid() async throws {
        try await place.clip("clip.mp4", frames: 2)
        let outcome = try await place.visionxl(
            [
                "evaluate", "clip.mp4", "-o", "out", "--size", "original", "--tasks", "sr4", "--methods",
                "svi,upsampling", "--metrics", "psnr",
            ],
            environment: ["VISIONXL_NETWORKS": place.file("nowhere")])
        #expect(outcome.succeeded, "\(outcome)")
        #expect(outcome.output.contains("| svi | failed |") && outcome.output.contains("make setup"), "\(outcome)")
    }
}
