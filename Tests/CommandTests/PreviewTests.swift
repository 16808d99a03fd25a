import Foundation
import TestSupport
import Testing

@testable import Workflow

/// A look before the work.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct PreviewTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    private static let quick = [
        "--model", "tiny", "--steps", "5", "--tau", "0.5", "--dtype", "float32", "--window", "4",
    ]

    /// Each column shows the frames that the whole run gives, in windows behind the first, too.
    @Test func aPreviewShowsTheWholeRunsFrames() async throws {
        try await place.clip("in.mkv", frames: 10)
        let outcome = try await place.visionxl(
            ["preview", "in.mkv", "-o", "look.png", "--at", "0.04", "--seconds", "0.32", "--noise", "0.02"]
                + ["--try", "--blur-sigma 1", "--try", "--blur-sigma 1.5 --seed 3"] + Self.quick)
        #expect(outcome.succeeded, "\(outcome)")
        #expect(outcome.messages.contains("look.png: frame 1, 4, 8 of in.mkv"), "\(outcome)")
        #expect(outcome.messages.contains("--blur-sigma 1.5 --seed 3: all frames would take about"))
        #expect(Set(place.folder.contents) == ["in.mkv", "look.png"])
        for (column, options) in [["--blur-sigma", "1"], ["--blur-sigma", "1.5", "--seed", "3"]].enumerated() {
            let whole = try await place.visionxl(
                ["restore", "in.mkv", "-o", "whole\(column)/", "--bits", "8", "--noise", "0.02"] + options + Self.quick)
            #expect(whole.succeeded, "\(whole)")
            // Small pictures stand in columns of 72 pixels, beside the measured ones, under two lines.
            let left = 4 + (column + 1) * 76
            for (row, frame) in [1, 4, 8].enumerated() {
                let picture = String(format: "whole\(column)/%06d.png", frame)
                #expect(
                    try await place.part("look.png", "64:48:\(left):\(22 + row * 52)")
                        == place.part(picture, "64:48:0:0"),
                    "column \(column), frame \(frame)")
            }
        }
    }

    @Test func whatCannotBeLookedAt() async throws {
        try await place.clip("in.mkv", frames: 3)
        let before = try place.snapshot()
        for (options, words) in [
            (["--at", "9"], "--at 9 lies outside"), (["--try", "--nosuch 3"], "--nosuch"),
            (["--try", "--blur-sigma 'x"], "quote"), (["--at=-1"], "--at"), (["--try", "--window 0"], "--window"),
        ] {
            expectOneSentence(
                try await place.visionxl(["preview", "in.mkv", "-o", "look.png"] + options + Self.quick),
                containing: [words])
        }
        expectOneSentence(try await place.visionxl("preview", "in.mkv", "-o", "look.mp4"), containing: [".png"])
        #expect(try place.snapshot() == before)
        // Of some frames only, as a recipe may say it.
        let recipe = try await place.visionxl(
            ["restore", "in.mkv", "-o", "out.mkv", "--frames", "1:3", "--noise", "0.01", "--print-recipe"] + Self.quick)
        try place.write(recipe.output, to: "recipe.json")
        let outcome = try await place.visionxl("preview", "--recipe", "recipe.json", "-o", "look.png")
        expectOneSentence(outcome, containing: ["the whole video; take \"frames\" out of the recipe", "--at"])
        #expect(!place.exists("look.png"))
    }

    /// A glyph for each printable character, five columns of seven rows.
    @Test func letters() {
        let all = (32...126).map { Lettering.columns(String(UnicodeScalar(UInt8($0)))) }
        #expect(Set(all).count == 95 && all.allSatisfy { $0.count == 6 })
        #expect(Lettering.columns("") == [] && Lettering.columns(" ") == [0, 0, 0, 0, 0, 0])
        #expect(Lettering.columns("H") == [0x7F, 0x08, 0x08, 0x08, 0x7F, 0])
        #expect(Lettering.columns("~") == [0x10, 0x08, 0x08, 0x10, 0x08, 0])
        #expect(Lettering.columns("é") == Lettering.columns("?"))
    }

    /// Numbers survive from the measurement to the result.
    @Test func measurementAndResultAsNumbers() async throws {
        try await place.clip("clip.mkv", frames: 3)
        let degraded = try await place.visionxl(
            "degrade", "clip.mkv", "-o", "m.npy", "--blur-sigma", "1", "--blur-size", "7")
        #expect(degraded.succeeded, "\(degraded)")
        for output in ["r.npy", "r.safetensors", "r.mkv"] {
            let outcome = try await place.visionxl(["restore", "m.npy", "-o", output, "--noise", "0.01"] + Self.quick)
            #expect(outcome.succeeded && !outcome.messages.contains("Left out"), "\(outcome)")
        }
        let same = try await place.visionxl("compare", "r.npy", "r.safetensors", "--quiet")
        #expect(same.output.contains("PSNR inf"), "\(same)")
        // Half a step of 16 bits at most: 20 log10(255 / (255 / 65535 / 2)) is 102 dB.
        #expect(try await place.psnr("r.npy", "r.mkv") > 90)
        expectOneSentence(
            try await place.visionxl(["restore", "m.npy", "-o", "x.npy", "--codec", "h264"] + Self.quick),
            containing: ["H.264 goes into"])
    }
}
