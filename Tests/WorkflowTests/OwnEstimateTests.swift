import Foundation
import InverseProblems
import LatentDiffusion
import TensorKit
import TestSupport
import Testing
import VideoIO

@testable import Workflow

/// Frames of one's own to begin from: which of them each window has, and what comes of them.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct OwnEstimateTests {
    let folder: TemporaryFolder
    init() throws {
        folder = try TemporaryFolder("own")
        try TinyModel.write(to: URL(fileURLWithPath: folder.file("tiny")))
    }

    private static let (height, width) = (24, 32)

    // MARK: Which frame belongs where

    /// A film whose every frame says its number.
    private func numbered(_ count: Int, to name: String) async throws -> String {
        let one = try Tensor.ones([1, 3, Self.height, Self.width])
        let frames = try (0..<count).map { try one * (Double($0) / 32 - 0.5) }
        return try await folder.write(Tensor.concatenate(frames, along: 0), to: name)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Of the measurement.
        var frames: Int
        var average: Average?
        var (window, context) = (4, 2)
        var range: FrameRange?
        /// Frames of the estimate that are enough.
        var own: Int
        /// Whether one fewer is refused.
        var isFewest: Bool
        /// The numbers that each window gets.
        var expected: [[Int]]
        /// Frames that were averaged together, where `degrade` is to write the measurement of so many frames.
        var degraded: (window: Int, of: Int)?

        init(
            _ name: String, frames: Int, _ average: Average? = nil, window: Int = 4, range: FrameRange? = nil,
            own: Int, isFewest: Bool? = nil, _ expected: [[Int]], degraded: (window: Int, of: Int)? = nil
        ) {
            (testDescription, self.frames, self.average, self.window) = (name, frames, average, window)
            (self.range, self.own, self.expected, self.degraded) = (range, own, expected, degraded)
            // Of the whole input there must be one for each.
            self.isFewest = isFewest ?? (range == nil)
        }
    }

    static let cases = [
        Case("overlapping windows", frames: 10, own: 10, [Array(0..<5), Array(1..<8), Array(4..<10)]),
        Case(
            "a part", frames: 10, range: FrameRange(from: 3, to: 9), own: 9, isFewest: true,
            [Array(3..<8), Array(4..<9)]),
        Case("a picture", frames: 5, own: 1, [[0, 0, 0, 0], [0, 0, 0, 0, 0]]),
        // Ends are repeated where there is nothing beyond.
        Case(
            "open average", frames: 8, Average(frames: 3, boundary: .open), own: 8,
            [[0] + Array(0..<7), Array(1..<8) + [7]]),
        Case(
            "part of an open average", frames: 8, Average(frames: 3, boundary: .open),
            range: FrameRange(from: 3, to: 6),
            own: 8, [Array(2..<7)]),
        Case(
            "part of an open average, and no frame behind it", frames: 8, Average(frames: 3, boundary: .open),
            range: FrameRange(from: 3, to: 6), own: 6, isFewest: true, [Array(2..<6) + [5]]),
        Case(
            "repeated ends", frames: 8, Average(frames: 3, boundary: .replicate), own: 8,
            [Array(0..<7), Array(1..<8)]),
        Case("circles", frames: 8, Average(frames: 3, boundary: .circular), own: 8, [Array(0..<4), Array(4..<8)]),
        // Two frames more than were measured, in each window.
        Case(
            "no border", frames: 6, Average(frames: 3, boundary: .valid), window: 3, own: 10,
            [Array(0..<5), Array(5..<10)]),
        // Stretches of ten frames, of which eight are left.
        Case(
            "no border, in stretches", frames: 16, Average(frames: 3, boundary: .valid), window: 8, own: 20,
            [Array(0..<10), Array(10..<20)], degraded: (10, 20)),
    ]

    @Test(arguments: cases) func eachWindowHasItsFrames(_ example: Case) async throws {
        var recipe = Recipe(
            input: folder.file("m.mkv"), output: folder.file("out.mkv"),
            problem: Problem(stages: (example.average.map { [$0] } ?? []) as [any Stage]))
        if let (window, count) = example.degraded, let problem = recipe.problem {
            let clip = try await numbered(count, to: "clip.mkv")
            var request = DegradationRequest(input: clip, output: recipe.input, problem: problem)
            request.window = window
            _ = try await Workflow.degrade(request)
        } else {
            _ = try await numbered(example.frames, to: "m.mkv")
            (recipe.window, recipe.context) = (example.window, example.context)
        }
        recipe.frames = example.range
        func estimate(_ frames: Int) async throws -> (own: OwnEstimate, video: MeasuredVideo, plan: WindowPlan) {
            recipe.firstEstimateFrom = try await numbered(frames, to: "own-\(frames).mkv")
            let video = try await MeasuredVideo(recipe)
            let plan = video.plan(frameCount: try #require(try video.frameCount()), cuts: [])
            return (try #require(try await OwnEstimate(recipe, video)), video, plan)
        }
        let (own, video, plan) = try await estimate(example.own)
        try own.check(plan)
        try #require(plan.windows.count == example.expected.count, "\(plan)")
        // All of them, and some, as when a run goes on.
        for windows in [Array(plan.windows.indices), [plan.windows.count - 1]] {
            var frames = own.frames(of: windows, video, plan)
            for index in windows {
                let tensor = try #require(try await frames.next(to: .cpu))
                #expect(tensor.shape == [video.restoredCount(of: plan.windows[index]), 3, Self.height, Self.width])
                let numbers = try (0..<tensor.size(0)).map { frame in
                    Int(((try tensor.select(0, frame).mean().item() + 0.5) * 32).rounded())
                }
                #expect(numbers == example.expected[index], "window \(index)")
            }
            #expect(try await frames.next(to: .cpu) == nil)
        }
        guard example.own > 1 else { return }
        // Fewer are refused; more, too, where all of them have a place.
        let (fewer, _, _) = try await estimate(example.own - 1)
        if example.isFewest {
            let error = #expect(throws: WorkflowError.self) { try fewer.check(plan) }
            #expect(error?.description.contains("\(example.own - 1) frames") == true, "\(error?.description ?? "")")
        } else {
            try fewer.check(plan)
        }
        let (more, _, _) = try await estimate(example.own + 1)
        if example.range == nil {
            #expect(throws: WorkflowError.self) { try more.check(plan) }
        } else {
            try more.check(plan)
        }
    }

    /// Of a part of averages without a border nobody knows which frames of the result they are.
    @Test(arguments: [(1, true), (14, false)]) func partsWithoutABorder(own: Int, isTaken: Bool) async throws {
        _ = try await numbered(9, to: "m.mkv")
        var recipe = Recipe(
            input: folder.file("m.mkv"), output: folder.file("out.mkv"),
            problem: Problem(Average(frames: 3, boundary: .valid)))
        (recipe.window, recipe.frames) = (3, FrameRange(from: 4, to: nil))
        recipe.firstEstimateFrom = try await numbered(own, to: "own.mkv")
        let video = try await MeasuredVideo(recipe)
        let plan = video.plan(frameCount: try #require(try video.frameCount()), cuts: [])
        let film = try #require(try await OwnEstimate(recipe, video))
        if isTaken {
            try film.check(plan)
        } else {
            let error = #expect(throws: WorkflowError.self) { try film.check(plan) }
            #expect(error?.description.contains("leave out --frames") == true)
        }
    }

    // MARK: What comes of them

    private func restored(
        _ output: String, _ execution: Execution = Execution(threads: 1), change: (inout Recipe) -> Void
    ) async throws -> Tensor {
        var recipe = Recipe(
            input: folder.file("m.mkv"), output: folder.file(output), noise: .sigma(0.004),
            model: ModelChoice(folder.file("tiny"), dtype: .float32))
        (recipe.bits, recipe.window, recipe.options.timesteps) = (16, 5, [121, 1])
        // Such noise looks as if each frame were another scene.
        recipe.scenes = .off
        change(&recipe)
        try await Workflow.restore(recipe, execution)
        return try await folder.frames(output)
    }

    /// What nobody could guess of a video, so that its own frames alone bring it back.
    private func truth(_ frames: Int) throws -> Tensor {
        let texture = try movingTexture(frames, 48, 64) * 0.5
        return try texture.adding(random([frames, 3, 48, 64], seed: 3), times: 0.2)
    }

    /// The truth gives about the truth: in several windows and in one, and where there are frames beyond those that were measured.
    @Test(arguments: [
        Problem(Shrink(factor: 4)), Problem(Holes(ratio: 0.5)),
        Problem(Average(frames: 5, boundary: .open), Shrink(factor: 2)),
        Problem(Average(frames: 3, boundary: .replicate), Blur(sigma: 2)),
    ])
    func theTruthGivesTheTruth(problem: Problem) async throws {
        // Of a longer film the middle.
        let film = try truth(16)
        let truth = try problem.boundary == .open ? film.rows(2..<14) : film.rows(0..<12)
        let A = try problem.operator(height: 48, width: 64)
        try await folder.write(A.apply(problem.boundary == .open ? film : truth), to: "m.mkv")
        let own = try await folder.write(truth, to: "own.mkv")
        func result(_ name: String, _ window: Int, own: String?) async throws -> Double {
            let frames = try await restored(name) {
                ($0.problem, $0.window, $0.firstEstimateFrom, $0.options.timesteps) = (problem, window, own, nil)
                $0.model = ModelChoice("builtin", dtype: .float32)
            }
            return try psnr(frames, truth)
        }
        let without = try await result("without.mkv", 4, own: nil)
        let (windows, one) = (
            try await result("windows.mkv", 4, own: own), try await result("one.mkv", 12, own: own)
        )
        #expect(windows > without + 3 && one > without + 3, "\(without) dB without, \(windows) and \(one) dB with")
        #expect(abs(windows - one) < 0.3, "\(windows) dB in windows, \(one) dB in one")
    }

    /// The same frames as of a film that was cut out of both.
    @Test(arguments: [Blur(sigma: 1) as any Stage, Shrink(factor: 2)]) func aPartIsAPartOfBoth(
        stage: any Stage
    ) async throws {
        let problem = Problem(stages: [stage])
        let truth = try truth(13)
        let Y = try problem.operator(height: 48, width: 64).apply(truth)
        let (all, part) = (
            try await folder.write(truth, to: "own.mkv"), try await folder.write(truth.rows(3..<13), to: "part.mkv")
        )
        try await folder.write(Y, to: "m.mkv")
        let ofAll = try await restored("all.mkv") {
            ($0.problem, $0.firstEstimateFrom, $0.frames) = (problem, all, FrameRange(from: 3, to: 13))
        }
        let cut = try await folder.write(Y.rows(3..<13), to: "cut.mkv")
        let ofPart = try await restored("part-out.mkv") {
            ($0.input, $0.problem, $0.firstEstimateFrom) = (cut, problem, part)
        }
        #expect(try (ofAll - ofPart).absolute().maximum().item() == 0)
    }

    /// A picture is a film that shows it in each frame, and a folder of pictures is a film.
    @Test func aPictureHoldsForAllFrames() async throws {
        let truth = try truth(7)
        try await folder.write(GaussianBlur(sigma: 1).apply(truth), to: "m.mkv")
        let one = try truth.rows(0..<1)
        let film = try await folder.write(Tensor.concatenate(Array(repeating: one, count: 7), along: 0), to: "film.mkv")
        try await VideoFrame(tensor: one.select(0, 0), bitDepth: 16).writePNG(to: folder.file("one.png"))
        try FileManager.default.createDirectory(atPath: folder.file("many"), withIntermediateDirectories: false)
        for index in 0..<7 {
            try FileManager.default.copyItem(atPath: folder.file("one.png"), toPath: folder.file("many/\(index).png"))
        }
        var results: [Tensor] = []
        for (index, own) in [film, folder.file("one.png"), folder.file("many")].enumerated() {
            results.append(
                try await restored("\(index).mkv") {
                    ($0.problem, $0.firstEstimateFrom) = (Problem(Blur(sigma: 1)), own)
                })
        }
        for other in results.dropFirst() { #expect(try (results[0] - other).absolute().maximum().item() == 0) }
        let without = try await restored("without.mkv") { $0.problem = Problem(Blur(sigma: 1)) }
        #expect(try (results[0] - without).absolute().maximum().item() > 0.01)
    }

    /// A part of each frame begins from that part of a film of whole frames, or from a film of the part.
    @Test func aPartOfEachFrame() async throws {
        let truth = try truth(4)
        let Y = try AveragePooling(factor: 2).apply(truth)
        try await folder.write(Y, to: "m.mkv")
        let whole = try await folder.write(truth, to: "own.mkv")
        let part = try await folder.write(
            truth.narrow(2, from: 8, count: 24).narrow(3, from: 16, count: 32), to: "part.mkv")
        func result(_ name: String, _ own: String) async throws -> Tensor {
            try await restored(name) {
                ($0.problem, $0.firstEstimateFrom) = (Problem(Shrink(factor: 2)), own)
                $0.crop = Crop(width: 16, height: 12, x: 8, y: 4)
            }
        }
        let (ofWhole, ofPart) = (try await result("a.mkv", whole), try await result("b.mkv", part))
        #expect(ofWhole.shape == [4, 3, 24, 32])
        #expect(try (ofWhole - ofPart).absolute().maximum().item() == 0)
    }

    /// A window that is made again, alone, comes out the same to the bit: it reads its frames only, and its scene's first ones.
    @Test func windowsDependOnNoOrder() async throws {
        let truth = try truth(44)
        try await folder.write(GaussianBlur(sigma: 1).apply(truth), to: "m.mkv")
        let own = try await folder.write(truth, to: "own.mkv")
        func run(_ execution: Execution) async throws -> Tensor {
            try await restored("out.mkv", execution) {
                ($0.problem, $0.firstEstimateFrom) = (Problem(Blur(sigma: 1)), own)
            }
        }
        var execution = Execution(threads: 1)
        execution.keepsWork = true
        let whole = try await run(execution)
        let work = folder.file("out.mkv.work")
        let segments = try FileManager.default.contentsOfDirectory(atPath: work + "/segments").sorted()
        try #require(segments.count >= 3)
        try FileManager.default.removeItem(atPath: work + "/segments/" + segments[1])
        // What its scene's windows have in common went when all of them were done.
        try #require(FileManager.default.contentsOfDirectory(atPath: work + "/scenes").isEmpty)
        (execution.overwrites, execution.keepsWork) = (true, false)
        #expect(try await (run(execution) - whole).absolute().maximum().item() == 0)
    }
}
