import Foundation
import InverseProblems
import LatentDiffusion
import TensorKit
import TestSupport
import Testing
import VideoIO

@testable import Workflow

/// Films of several scenes and windows, from file to file.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct LongVideoTests {
    let folder: TemporaryFolder
    init() throws {
        folder = try TemporaryFolder("long")
        try TinyModel.write(to: URL(fileURLWithPath: folder.file("tiny")))
    }

    private static let (height, width) = (48, 64)
    private static let builtin = projectRoot.appendingPathComponent("Models/builtin").path

    /// Another texture, as different as a cut makes it.
    private func other(_ frames: Int) throws -> Tensor {
        let texture = try movingTexture(frames, Self.height, Self.width)
        return try (texture.flipped([3]) * -0.8 + 0.15).clamped(to: -1...1)
    }

    private func restored(
        _ input: String, to output: String, model: String, _ execution: Execution = Execution(threads: 1),
        change: (inout Recipe) -> Void = { _ in }
    ) async throws -> (frames: Tensor, log: RestorationLog) {
        var recipe = Recipe(
            input: folder.file(input), output: folder.file(output), problem: Problem(Blur(sigma: 1)),
            noise: .sigma(0.004), model: ModelChoice(model, dtype: .float32))
        (recipe.bits, recipe.options.timesteps) = (16, [281, 121, 1])
        change(&recipe)
        let log = try await Workflow.restore(recipe, execution)
        return (try await folder.frames(output), log)
    }

    /// A cut in the middle of what would be one window costs nothing.
    @Test func aCutInsideAWindow() async throws {
        let truth = try [movingTexture(8, Self.height, Self.width), other(7)]
        let blur = try GaussianBlur(sigma: 1)
        let measured = try truth.map { try blur.apply($0) }
        try await folder.write(Tensor.concatenate(measured, along: 0), to: "cut.mkv")
        try await folder.write(measured[0], to: "a.mkv")
        try await folder.write(measured[1], to: "b.mkv")
        let cut = try await restored("cut.mkv", to: "cut-out.mkv", model: Self.builtin)
        #expect(cut.log.scenes == [0, 8] && cut.log.frameCount == 15)
        for (name, range, truth) in [("a", 0..<8, truth[0]), ("b", 8..<15, truth[1])] {
            let alone = try await restored(name + ".mkv", to: name + "-out.mkv", model: Self.builtin).frames
            let (whole, half) = (try psnr(cut.frames.rows(range), truth), try psnr(alone, truth))
            #expect(abs(whole - half) < 0.3, "\(whole) dB in the film, \(half) dB alone")
        }
    }

    /// A flash at every other frame stays what it is.
    @Test func aFlashAtEachFrame() async throws {
        var film = try movingTexture(8, Self.height, Self.width) * 0.4
        for frame in stride(from: 1, to: 8, by: 2) {
            try film.replace(along: 0, from: frame, with: film.rows(frame..<frame + 1) + 0.55)
        }
        let measured = try GaussianBlur(sigma: 1).apply(film)
        try await folder.write(measured, to: "flash.mkv")
        let result = try await restored("flash.mkv", to: "flash-out.mkv", model: Self.builtin)
        #expect(result.log.scenes == [0])
        for frame in 1..<7 {
            let sides = try (film.rows(frame - 1..<frame) + film.rows(frame + 1..<frame + 2)) * 0.5
            let before = try (measured.rows(frame..<frame + 1) - sides).norm()
            #expect(try (result.frames.rows(frame..<frame + 1) - sides).norm() > 0.98 * before)
        }
    }

    /// A window's frames depend on nothing that was done before: one that is made again, alone, comes out the same to the bit.
    @Test(arguments: [TemporalBoundary?.none, .open, .replicate]) func windowsDependOnNoOrder(
        ends: TemporalBoundary?
    ) async throws {
        try await folder.write(
            Tensor.concatenate([movingTexture(30, Self.height, Self.width), other(14)], along: 0), to: "film.mkv")
        func run(_ execution: Execution) async throws -> Tensor {
            let model = folder.file("tiny")
            return try await restored("film.mkv", to: "out.mkv", model: model, execution) {
                if let ends { $0.problem = Problem(Average(frames: 5, boundary: ends), Blur(sigma: 1)) }
                ($0.window, $0.options.timesteps) = (5, [121, 1])
            }.frames
        }
        var execution = Execution(threads: 1)
        execution.keepsWork = true
        let whole = try await run(execution)
        let work = folder.file("out.mkv.work")
        let segments = try FileManager.default.contentsOfDirectory(atPath: work + "/segments").sorted()
        try #require(segments.count >= 3)
        // The second one; what its scene's windows have in common went with the last of them and is made again.
        #expect(!FileManager.default.fileExists(atPath: work + "/scenes/0000.safetensors"))
        try FileManager.default.removeItem(atPath: work + "/segments/" + segments[1])
        execution.overwrites = true
        #expect(try await (run(execution) - whole).absolute().maximum().item() == 0)
        execution.keepsWork = false
        #expect(try await (run(execution) - whole).absolute().maximum().item() == 0)
        #expect(!FileManager.default.fileExists(atPath: work))
    }

    /// Without a seam that is seen: across edges a result changes as its neighbours do.
    @Test func windowsAreFaded() async throws {
        let truth = try movingTexture(24, Self.height, Self.width)
        let noise = try random([24, 3, Self.height, Self.width], seed: 5) * 0.01
        try await folder.write(GaussianBlur(sigma: 1).apply(truth) + noise, to: "film.mkv")
        func result(_ window: Int, _ name: String) async throws -> Tensor {
            try await restored("film.mkv", to: name, model: Self.builtin) {
                ($0.window, $0.noise) = (window, .sigma(0.01))
            }.frames
        }
        let (one, windows) = (try await result(24, "one.mkv"), try await result(8, "windows.mkv"))
        #expect(try abs(psnr(one, truth) - psnr(windows, truth)) < 0.1)
        func change(_ at: Int) throws -> Double {
            let (now, before) = (at..<at + 1, at - 1..<at)
            let wrong = try (windows.rows(now) - windows.rows(before)) - (truth.rows(now) - truth.rows(before))
            return try wrong.absolute().mean().item()
        }
        let edges = try [8, 16].map(change).reduce(0, +) / 2
        let others = try (1..<24).filter { $0 != 8 && $0 != 16 }.map(change)
        #expect(edges <= 1.05 * others.reduce(0, +) / Double(others.count))
    }

    /// Few frames, and averages of more than there are.
    @Test(arguments: [1, 2, 5]) func fewFrames(count: Int) async throws {
        try await folder.write(movingTexture(count, Self.height, Self.width), to: "film.mkv")
        for ends in [TemporalBoundary.open, .replicate, .circular] {
            let result = try await restored("film.mkv", to: "\(ends).mkv", model: folder.file("tiny")) {
                $0.problem = Problem(Average(frames: 7, boundary: ends))
            }
            #expect(result.frames.size(0) == count && result.log.frameCount == count)
        }
    }

    /// The average over the whole film, of which each window sees a part.
    @Test func openAveragesSeeTheirNeighbours() async throws {
        let truth = try movingTexture(40, Self.height, Self.width)
        let measured = try TemporalAverage(window: 5, boundary: .valid).apply(truth)
        try await folder.write(measured, to: "film.mkv")
        func result(_ name: String, _ window: Int, _ context: Int? = nil) async throws -> Tensor {
            try await restored("film.mkv", to: name, model: Self.builtin) {
                ($0.problem, $0.window) = (Problem(Average(frames: 5, boundary: .open)), window)
                $0.context = context
            }.frames
        }
        // Frames 2 to 37 of what was averaged. What comes again after five frames is found by its changes, with fewer frames less surely.
        let middle = try truth.rows(2..<38)
        let one = try psnr(await result("one.mkv", 36), middle)
        let (near, far) = (
            try psnr(await result("near.mkv", 18, 2), middle), try psnr(await result("far.mkv", 18, 10), middle)
        )
        #expect(one > 48 && far > 45 && far > near, "\(one) \(far) \(near)")
    }
}
