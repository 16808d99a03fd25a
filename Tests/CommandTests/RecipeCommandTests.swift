import Foundation
import TestSupport
import Testing

/// Recipes and explanations from the real program.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct RecipeCommandTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    private static let quick = ["--model", "tiny", "--steps", "5", "--tau", "0.5", "--dtype", "float32"]

    private func json(_ name: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: place.data(name)) as? [String: Any])
    }

    /// A printed recipe is all that is needed to do it again, from anywhere, and what else is said wins.
    @Test func printedAndRun() async throws {
        try await place.clip("clip.mp4", frames: 3)
        let said =
            ["restore", "clip.mp4", "-o", "a.mkv", "--blur-sigma", "1.5", "--noise", "0.01", "--seed", "5"] + Self.quick
        let printed = try await place.visionxl(said + ["--print-recipe"])
        #expect(printed.succeeded && printed.messages.isEmpty, "\(printed)")
        #expect(place.folder.contents == ["clip.mp4"])
        #expect(
            printed.output.contains("\"\(place.file("clip.mp4"))\"")
                && printed.output.contains("\"\(place.file("a.mkv"))\""))
        try FileManager.default.createDirectory(atPath: place.file("recipes"), withIntermediateDirectories: false)
        try place.write(printed.output, to: "recipes/soft.json")

        #expect(try await place.visionxl(said).succeeded)
        let first = try await place.frames("a.mkv")
        try FileManager.default.removeItem(atPath: place.file("a.mkv"))
        let again = try await place.visionxl("restore", "--recipe", "recipes/soft.json")
        #expect(again.succeeded, "\(again)")
        #expect(try await place.frames("a.mkv") == first)

        let other = try await place.visionxl(
            "restore", "--recipe", "recipes/soft.json", "-o", "b.mkv", "--seed", "6", "--json", "b.json")
        #expect(other.succeeded, "\(other)")
        #expect(try await place.frames("b.mkv") != first)
        let options = try #require(json("b.json")["options"] as? [String: Any])
        #expect(options["seed"] as? Int == 6 && options["steps"] as? Int == 5)
    }

    /// Relative paths of a recipe are its folder's, whatever the working folder is.
    @Test func relativePaths() async throws {
        try await place.clip("clip.mp4", frames: 2)
        try FileManager.default.createDirectory(atPath: place.file("there"), withIntermediateDirectories: false)
        try FileManager.default.moveItem(atPath: place.file("clip.mp4"), toPath: place.file("there/clip.mp4"))
        try place.write(
            #"""
            {"version": 1, "input": "clip.mp4", "output": "out.mkv", "problem": {"stages": [{"shrink": {"factor": 2}}]},
             "model": {"name": "tiny"}, "options": {"steps": 5, "tau": 0.5}}
            """#, to: "there/recipe.json")
        let outcome = try await place.visionxl("restore", "--recipe", "there/recipe.json")
        #expect(outcome.succeeded, "\(outcome)")
        #expect(try await place.probe("there/out.mkv", "width,height") == "128,96")
    }

    @Test func whatIsWrongWithARecipe() async throws {
        try place.write(#"{"version": 9, "input": "a", "output": "b"}"#, to: "newer.json")
        try place.write(#"{"version": 1, "input": "a", "output": "b", "stpes": 9}"#, to: "unknown.json")
        expectOneSentence(
            try await place.visionxl("restore", "--recipe", "newer.json"), containing: ["newer.json", "version 9"])
        expectOneSentence(
            try await place.visionxl("restore", "--recipe", "unknown.json"), containing: ["unknown.json", "'stpes'"])
        expectOneSentence(try await place.visionxl("restore", "--recipe", "none.json"), containing: ["none.json"])
    }

    /// The table has a reason for everything, says how long it takes and writes nothing; what only frames tell says so.
    @Test func explains() async throws {
        try await place.clip("clip.mp4", frames: 3)
        let outcome = try await place.visionxl(
            "explain", "clip.mp4", "--blur-sigma", "2", "--eta", "0.5", "--model", "tiny", "--json")
        try #require(outcome.succeeded, "\(outcome)")
        let object = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
        let rows = try #require(object?["rows"] as? [[String: Any]])
        var values: [String: String] = [:]
        for row in rows {
            let (name, reason) = (try #require(row["name"] as? String), try #require(row["reason"] as? String))
            #expect(reason.hasSuffix(".") && reason.count > 5, "\(row)")
            values[name] = row["value"] as? String ?? "pending: \(reason)"
        }
        #expect(
            values["eta"] == "0.5" && values["timesteps"] == "281 241 201 161 121 81 41 1"
                && values["data step"] == "proximal")
        #expect(values["scenes"] == "auto" && values["context"] == "4 frames" && values["fade"] == "4 frames")
        #expect(values["noise"]?.contains("After the first frame") == true)
        #expect(values["rounding's bands"]?.contains("After the first frame") == true)
        #expect((object?["seconds"] as? Double).map { $0 > 0 } == true && values["time"]?.hasSuffix(" s") == true)
        #expect(place.folder.contents == ["clip.mp4"])
        // With the noise said nothing waits but what the values in the frames tell.
        let said = try await place.visionxl(
            "explain", "clip.mp4", "--blur-sigma", "2", "--noise", "0.1", "--model", "tiny")
        #expect(said.succeeded && !said.output.contains("After the first frame"), "\(said)")
        #expect(said.output.contains("--eta") && said.output.contains("As said."))
        // It finds what `restore` would refuse.
        expectOneSentence(
            try await place.visionxl(
                "explain", "clip.mp4", "--task", "inpaint", "--mask", "none.png", "--model", "tiny"),
            containing: ["none.png"])
    }

    /// Each frame is decoded once and brought to a tensor once, whatever is found out about it on the way.
    @Test func framesAreReadOnce() async throws {
        try await place.clip("clip.mp4", frames: 7)
        let arguments =
            ["restore", "clip.mp4", "-o", "out.mkv", "--blur-sigma", "1", "--window", "3", "--json", "log.json"]
            + Self.quick
        let outcome = try await place.visionxl(arguments)
        try #require(outcome.succeeded, "\(outcome)")
        let log = try json("log.json")
        #expect(log["framesDecoded"] as? Int == 7 && log["framesConverted"] as? Int == 7)
        #expect((log["noise"] as? [String: Any])?["source"] as? String != "as said")
        // Every second counts once, for a phase that has a name.
        let phases = try #require(log["phases"] as? [String: Double])
        let names = ["preparing", "reading", "first-estimate", "denoising", "decoding", "data-step", "writing"]
        #expect(Set(names).isSubset(of: phases.keys))
        let seconds = try #require(log["seconds"] as? Double)
        #expect(abs(phases.values.reduce(0, +) - seconds) < 0.05 * seconds)
        // What was told before the first frame.
        let told = try #require(log["estimate"] as? [String: Double])
        #expect(told["seconds"].map { $0 > 0 } == true)
        #expect(outcome.messages.contains("s for 7 frames"))
    }

    /// Colours that are gone: a file in colours is reduced to grey, and the result has that grey.
    @Test func grey() async throws {
        try await place.clip("clip.mp4", frames: 3)
        for matrix in ["bt601", "bt709"] {
            let degraded = try await place.visionxl("degrade", "clip.mp4", "-o", "\(matrix).mkv", "--grey", matrix)
            try #require(degraded.succeeded, "\(degraded)")
            // A prior that knows pictures: random weights leave the range of pixels, and files cut that off.
            let restored = try await place.visionxl(
                "restore", "\(matrix).mkv", "-o", "\(matrix)-restored.mkv", "--model",
                projectRoot.path + "/Models/builtin")
            try #require(restored.succeeded, "\(restored)")
            // Degraded again it is what was measured.
            let again = try await place.visionxl(
                "degrade", "\(matrix)-restored.mkv", "-o", "\(matrix)-again.mkv", "--grey", matrix)
            try #require(again.succeeded, "\(again)")
            #expect(try await place.psnr("\(matrix).mkv", "\(matrix)-again.mkv") > 30)
        }
        #expect(try await place.frames("bt601.mkv") != place.frames("bt709.mkv"))
        // Three equal channels: grey of any kind leaves them alone.
        let twice = try await place.visionxl("degrade", "bt601.mkv", "-o", "twice.mkv", "--grey", "bt709")
        #expect(twice.succeeded, "\(twice)")
        #expect(try await place.psnr("bt601.mkv", "twice.mkv") > 80)
    }
}
