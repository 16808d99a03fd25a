import Foundation
import TestSupport
import Testing

/// Masks as people make them, given to the real program.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct MaskKindsTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    private static let quick = ["--model", "tiny", "--steps", "5", "--tau", "0.5", "--dtype", "float32"]

    /// A picture of 64x48 whose hole has one grey and the rest another; 16x16 of 64x48 pixels are 8.3 %.
    private func picture(_ name: String, hole: Int, known: Int, size: String = "64x48", more: String = "") async throws
    {
        let filter = "format=gray,geq=lum='if(between(X,20,35)*between(Y,10,25),\(hole),\(known))'"
        try await place.tool(
            "ffmpeg",
            ["-v", "error", "-nostdin", "-f", "lavfi", "-i", "color=black:size=\(size)", "-frames:v", "1"]
                + ["-vf", filter + more, name])
    }

    private func restore(_ mask: String, _ more: [String] = [], to output: String = "out.mkv") async throws -> Outcome {
        try await place.visionxl(["restore", "in.mkv", "-o", output, "--mask", mask, "--force"] + more + Self.quick)
    }

    @Test func kinds() async throws {
        try await place.clip("in.mkv", frames: 2)
        try await picture("right.png", hole: 0, known: 255)
        let right = try await restore("right.png")
        #expect(right.succeeded && right.messages.contains("8.3 % of the pixels are holes (right.png)"), "\(right)")
        let frames = try await place.frames("out.mkv")

        // The same mask, said in other ways, gives the same frames.
        try await picture("inverted.png", hole: 255, known: 0)
        try await picture("one.png", hole: 0, known: 1)
        let red = ",format=gbrp,geq=r='255-g(X,Y)':g=0:b=0"
        try await picture("red.png", hole: 0, known: 255, more: red)
        let alpha = ",split[a][b];[a]geq=lum=0,format=rgba[c];[c][b]alphamerge"
        try await picture("alpha.png", hole: 0, known: 255, more: alpha)
        for (name, more) in [
            ("inverted.png", ["--mask-inverted"]), ("one.png", []), ("red.png", []), ("alpha.png", []),
        ] {
            let outcome = try await restore(name, more)
            #expect(outcome.succeeded && outcome.messages.contains("8.3 % of the pixels"), "\(name): \(outcome)")
            #expect(try await place.frames("out.mkv") == frames, "\(name)")
        }
        let wrongWay = try await restore("inverted.png")
        #expect(wrongWay.messages.contains("92 % of the pixels") && wrongWay.messages.contains("--mask-inverted"))
        let grown = try await restore("right.png", ["--mask-grow", "2"])
        #expect(grown.messages.contains("13 % of the pixels are holes"), "\(grown)")

        try await picture("all.png", hole: 255, known: 255)
        try await picture("none.png", hole: 0, known: 0)
        try await picture("side.png", hole: 0, known: 255, size: "48x64")
        for (name, words) in [("all.png", "no holes"), ("none.png", "no pixel is known"), ("side.png", "48x64 pixels")]
        {
            expectOneSentence(try await restore(name), containing: [words])
        }
    }

    /// A film is used frame by frame, whatever the windows.
    @Test func aFilm() async throws {
        try await place.clip("in.mkv", frames: 6)
        let filter = "format=gray,geq=lum='if(between(X,8*N,8*N+7),0,255)'"
        try await place.tool(
            "ffmpeg",
            ["-v", "error", "-nostdin", "-f", "lavfi", "-i", "color=black:size=64x48:rate=25", "-frames:v", "6"]
                + ["-vf", filter, "-c:v", "ffv1", "film.mkv"])
        // What is behind the holes must not matter: it is other in the second file.
        for (name, colour) in [("a.mkv", 0), ("b.mkv", 255)] {
            let spoiled =
                "format=gbrp,geq="
                + ["r", "g", "b"].map {
                    "\($0)='if(between(X,8*N,8*N+7),\(colour),\($0)(X,Y))'"
                }.joined(separator: ":")
            try await place.tool(
                "ffmpeg", ["-v", "error", "-nostdin", "-i", "in.mkv", "-vf", spoiled, "-c:v", "ffv1", name])
            let outcome = try await place.visionxl(
                ["restore", name, "-o", "out-" + name, "--mask", "film.mkv", "--window", "4", "--noise", "0.01"]
                    + Self.quick)
            #expect(outcome.succeeded && outcome.messages.contains("13 % of the pixels are holes"), "\(outcome)")
        }
        #expect(try await place.frames("out-a.mkv") == place.frames("out-b.mkv"))
        try await place.clip("longer.mkv", frames: 7)
        let longer = try await place.visionxl(
            ["restore", "longer.mkv", "-o", "c.mkv", "--mask", "film.mkv"] + Self.quick)
        expectOneSentence(longer, containing: ["6 frames", "7"])
    }
}
