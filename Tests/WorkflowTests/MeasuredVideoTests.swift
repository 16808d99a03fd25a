import Diffusion
import Foundation
import InverseProblems
import PixelPriors
import TensorKit
import TestSupport
import Testing
import VideoIO
import VisionXL

@testable import Workflow

@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct MeasuredVideoTests {
    private func written(frames: Int, in folder: TemporaryFolder) async throws -> String {
        let path = folder.file("clip.mkv")
        let writer = try await VideoWriter(to: path, width: 32, height: 24, bitDepth: 8, frameRate: .fps25)
        for index in 0..<frames {
            let values = (0..<3 * 24 * 32).map { Float(($0 * 7 + index * 31) % 255) / 127 - 1 }
            try await writer.append(VideoFrame(tensor: Tensor(values, shape: [3, 24, 32]), bitDepth: 8))
        }
        try await writer.finish()
        return path
    }

    /// A matrix along an axis is equal to itself alone, and keeps its singular vectors: all windows have the same ones.
    @Test func theOperatorIsMadeOnce() async throws {
        let folder = try TemporaryFolder("measured")
        let path = try await written(frames: 7, in: folder)
        var recipe = Recipe(
            input: path, output: folder.file("out.mkv"), problem: Problem(Average(frames: 3), Blur(sigma: 1)))
        recipe.window = 3
        let video = try await MeasuredVideo(recipe)
        let plan = video.plan(frameCount: try #require(try video.frameCount()), cuts: [])
        let batches = FrameBatches(video.reader, plan.windows.map(\.batch))
        var forms: [SeparatedForm] = []
        while let batch = try await batches.next() {
            let Y = try video.measured(batch.frames)
            let window = plan.windows[forms.count]
            let measurement = try await VideoMeasurement(Y, operator: video.operator(of: window), noise: .none)
            forms.append(try #require(try measurement.operator.separated(for: measurement.videoShape)))
        }
        #expect(forms.count == 3)
        #expect(video.scenes.value == .off && video.scenes.reason.contains("circle") && plan.rules.fade == 0)
        #expect(Set(forms.map(\.rows)).count == 1 && Set(forms.map(\.columns)).count == 1)
        // The last window is shorter: another length along time, the same frames.
        #expect(forms[0].frames == forms[1].frames && forms[2].frames != forms[0].frames)
    }

    /// A record counts frames before an average without a border, a measurement has fewer of them.
    @Test func aRecordsWindowIsThatOfTheMeasurement() async throws {
        let folder = try TemporaryFolder("measured")
        let clip = try await written(frames: 20, in: folder)
        var request = DegradationRequest(
            input: clip, output: folder.file("m.mkv"), problem: Problem(Average(frames: 3, boundary: .valid)))
        request.window = 10
        _ = try await Workflow.degrade(request)
        let video = try await MeasuredVideo(Recipe(input: folder.file("m.mkv"), output: folder.file("r.mkv")))
        #expect(video.window == 8 && video.info.height == 24)
        #expect(!video.looksForScenes && video.scenes.reason.contains(".json"))
        let plan = video.plan(frameCount: 16, cuts: [])
        #expect(plan.windows.map(\.kept) == [0..<8, 8..<16] && plan.windows.allSatisfy { $0.batch == $0.kept })
        // Each window gives back all that was averaged.
        #expect(plan.resultCount == 20 && plan.results(of: 1) == 10..<20)
        #expect(try video.kept(of: plan.windows[1]) == 0..<10)
        // A last window that is too short for the average is refused before anything is written.
        request.output = folder.file("short.mkv")
        request.window = 19
        await #expect(throws: ProblemError.self) { try await Workflow.degrade(request) }
        #expect(!FileManager.default.fileExists(atPath: folder.file("short.mkv")))
    }

    /// How much a run does is told before a frame is decoded, from noise that is said, is on record, or is guessed from how the file is stored.
    @Test(
        .enabled(if: PictureEnlargement.isAvailable, "SPAN or FFDNet was not fetched: make setup"),
        arguments: [(0.0, NoiseChoice?.none, 1), (0.05, nil, 8), (0.05, .sigma(0.001), 1)])
    func howMuchARunDoes(added: Double, said: NoiseChoice?, timesteps: Int) async throws {
        let folder = try TemporaryFolder("measured")
        var request = DegradationRequest(
            input: try await written(frames: 5, in: folder), output: folder.file("m.mkv"),
            problem: Problem(Average(frames: 3), Shrink(factor: 2)))
        request.noise = added
        _ = try await Workflow.degrade(request)
        func sampled(_ input: String, _ problem: Problem? = nil) async throws -> Int {
            var recipe = Recipe(input: input, output: folder.file("r.mkv"), problem: problem)
            recipe.noise = said
            let video = try await MeasuredVideo(recipe)
            let facts = try await FileFacts(
                video, frames: 5, noise: .known(recipe, video), model: (schedule: DDIMSchedule(), decoderGain: 0.1))
            return try Policy.extent(recipe.options, facts.guessingNoise()).timesteps
        }
        #expect(try await sampled(folder.file("m.mkv")) == timesteps)
        // Without its record all that is known is that it is lossless.
        try FileManager.default.removeItem(atPath: folder.file("m.json"))
        #expect(try await sampled(folder.file("m.mkv"), request.problem) == 1)
    }
}
