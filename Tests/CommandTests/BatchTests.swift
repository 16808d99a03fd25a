import Foundation
import TestSupport
import Testing

/// Several files restored by one command.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct BatchTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    private static let quick = [
        "--model", "tiny", "--steps", "5", "--tau", "0.5", "--dtype", "float32", "--blur-sigma", "1", "--noise", "0.01",
    ]

    private func status(_ outcome: Outcome) -> Int32? {
        if case .exited(let code) = outcome.status { code } else { nil }
    }

    /// One of three is broken: the others are done, the table and the status say so, and the same command does what is
    /// left.
    @Test func oneIsBroken() async throws {
        try await place.clip("a.mp4", frames: 2)
        try await place.clip("c.mkv", frames: 2)
        try place.write("no video", to: "b.mov")
        let command = ["restore", "a.mp4", "b.mov", "c.mkv", "-o", "out"] + Self.quick
        let first = try await place.visionxl(command)
        #expect(status(first) == 2, "\(first)")
        #expect(first.messages.contains("failed  b.mov") && first.messages.contains("1 of 3 files failed"))
        #expect(first.messages.contains("done    out/a.mp4") && first.messages.contains("done    out/c.mkv"))
        #expect(try await place.frames("out/a.mp4").count == 2)
        #expect(place.exists("out/c.mkv") && !place.exists("out/b.mov"))

        try FileManager.default.removeItem(atPath: place.file("b.mov"))
        try await place.clip("b.mov", frames: 3)
        let before = try (place.data("out/a.mp4"), place.data("out/c.mkv"))
        let second = try await place.visionxl(command)
        #expect(second.succeeded, "\(second)")
        #expect(second.messages.contains("there   out/a.mp4") && second.messages.contains("done    out/b.mov"))
        #expect(try before.0 == place.data("out/a.mp4") && before.1 == place.data("out/c.mkv"))
        #expect(try await place.frames("out/b.mov").count == 3)
        // Nothing is left to do.
        let third = try await place.visionxl(command)
        #expect(third.succeeded && !third.messages.contains("done "), "\(third)")
    }

    /// Copies of one clip: enough files that a signal which is late on a busy machine still comes before the last one.
    private func manyClips(_ count: Int) async throws -> [String] {
        let names = (0..<count).map { String(format: "%02d.mp4", $0) }
        try await place.clip(names[0], frames: 2)
        for name in names.dropFirst() {
            try FileManager.default.copyItem(atPath: place.file(names[0]), toPath: place.file(name))
        }
        return names
    }

    /// Of several files those that are done stay, and the same command does the others.
    @Test func interrupted() async throws {
        let names = try await manyClips(8)
        let command = ["restore"] + names + ["-o", "out"] + Self.quick
        let first = try await place.visionxl(command, onceItSays: "2/8: 01.mp4") { kill($0.value, SIGINT) }
        #expect(status(first) == 130, "\(first)")
        #expect(
            first.messages.split(separator: "\n").last
                == "visionxl: interrupted; nothing half done has an output's name, and the same command does what is left"
        )
        let done = try FileManager.default.contentsOfDirectory(atPath: place.file("out")).sorted()
        #expect(done == Array(names.prefix(done.count)) && (1..<8).contains(done.count), "\(done)")
        let second = try await place.visionxl(command)
        #expect(second.messages.contains("there   out/00.mp4") && second.messages.contains("done    out/07.mp4"))
    }

    /// Where the same command would do all of them again, or nothing, it promises nothing.
    @Test(arguments: [
        (["--force"], "nothing half done has an output's name"), (["--dry-run"], "a dry run writes nothing"),
        (["--restart"], "nothing half done has an output's name, and the same command does what is left"),
    ])
    func interrupted(options: [String], said: String) async throws {
        let names = try await manyClips(30)
        let outcome = try await place.visionxl(
            ["restore"] + names + ["-o", "out"] + options + Self.quick, onceItSays: "1/30: 00.mp4"
        ) { kill($0.value, SIGINT) }
        #expect(status(outcome) == 130, "\(outcome)")
        #expect(outcome.messages.split(separator: "\n").last == "visionxl: interrupted; \(said)")
    }

    /// What changes the problem in the .json beside each of them goes wrong with that one alone that has none.
    @Test func eachHasItsOwnProblem() async throws {
        for name in ["a.mkv", "b.mkv"] { try await place.clip(name, frames: 2) }
        try await place.tool(
            "ffmpeg",
            ["-v", "error", "-nostdin", "-f", "lavfi", "-i", "color=white:size=64x48", "-frames:v", "1"]
                + ["-vf", "drawbox=20:10:16:16:black:fill", "mask.png"])
        let degraded = try await place.visionxl("degrade", "a.mkv", "-o", "holes.mkv", "--mask", "mask.png")
        #expect(degraded.succeeded, "\(degraded)")
        let options = ["--mask-grow", "2", "--model", "tiny", "--steps", "5", "--tau", "0.5", "--dtype", "float32"]
        let outcome = try await place.visionxl(["restore", "holes.mkv", "b.mkv", "-o", "out"] + options)
        #expect(status(outcome) == 2, "\(outcome)")
        #expect(outcome.messages.contains("13 % of the pixels are holes"), "\(outcome)")
        #expect(outcome.messages.contains("done    out/holes.mkv") && outcome.messages.contains("failed  b.mkv"))
        #expect(outcome.messages.hasSuffix("1 of 2 files failed; the same command does what is left.\n"), "\(outcome)")
        #expect(place.exists("out/holes.mkv") && !place.exists("out/b.mkv"))
    }

    /// Folders of videos and of pictures, and a list.
    @Test func foldersAndAList() async throws {
        for folder in ["films", "pictures"] {
            try FileManager.default.createDirectory(atPath: place.file(folder), withIntermediateDirectories: false)
        }
        try await place.clip("films/10.mp4", frames: 2)
        try await place.clip("films/9.avi", frames: 2)
        try place.write("not for us", to: "films/notes.txt")
        try await place.tool(
            "ffmpeg", ["-v", "error", "-nostdin", "-i", "films/9.avi", "-frames:v", "1", "films/poster.png"])
        try await place.clip("clip.mkv", frames: 2)
        try await place.tool("ffmpeg", ["-v", "error", "-nostdin", "-i", "clip.mkv", "pictures/%03d.png"])
        try place.write("\u{FEFF}clip.mkv\n# What is to be done\n\nclip.mkv\n", to: "list.txt")
        let outcome = try await place.visionxl(
            ["restore", "films", "pictures/", "--list", "list.txt", "-o", "out/"] + Self.quick)
        #expect(outcome.succeeded, "\(outcome)")
        #expect(outcome.messages.contains("1/4: films/9.avi") && outcome.messages.contains("4/4: "))
        for name in ["9.mkv", "10.mp4", "pictures", "clip.mkv"] {
            #expect(try await place.frames("out/" + name).count == 2, "\(name)")
        }
    }

    @Test func whatCannotBeOneBatch() async throws {
        try await place.clip("a.mp4", frames: 2)
        try FileManager.default.createDirectory(atPath: place.file("x"), withIntermediateDirectories: false)
        try FileManager.default.copyItem(atPath: place.file("a.mp4"), toPath: place.file("x/a.mp4"))
        let before = try place.snapshot()
        expectOneSentence(
            try await place.visionxl(["restore", "a.mp4", "x", "-o", "out"] + Self.quick),
            containing: ["both be written to out/a.mp4"])
        expectOneSentence(
            try await place.visionxl(["restore", "a.mp4", "x", "-o", "out.mp4"] + Self.quick), containing: ["a folder"])
        expectOneSentence(
            try await place.visionxl(["restore", "--list", "none.txt", "-o", "out"] + Self.quick),
            containing: ["none.txt"])
        for (option, words) in [
            ("--json", "--json"), ("--work", "--work"), ("--scenes", "--scenes FILE"),
            ("--first-estimate-from", "--first-estimate-from"),
        ] {
            expectOneSentence(
                try await place.visionxl(["restore", "a.mp4", "x", "-o", "out", option, "x/a.mp4"] + Self.quick),
                containing: ["\(words) is for one file"])
        }
        #expect(try place.snapshot() == before)
        // All of them failed.
        try place.write("no video", to: "b.mov")
        try place.write("no video", to: "c.mov")
        for (options, rest) in [([], "; the same command does what is left"), (["--force"], ""), (["--dry-run"], "")] {
            let outcome = try await place.visionxl(["restore", "b.mov", "c.mov", "-o", "out"] + options + Self.quick)
            #expect(status(outcome) == 1 && outcome.messages.hasSuffix("\n2 of 2 files failed\(rest).\n"), "\(outcome)")
        }
    }
}
