import Foundation
import InverseProblems
import LatentDiffusion
import TestSupport
import Testing
import VideoIO
import VisionXL

@testable import Workflow

/// What lies in a work folder while segments are encoded.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct SegmentEncoderTests {
    private static let (height, width) = (16, 16)

    private func frame(_ value: Int) throws -> VideoFrame {
        let count = 3 * Self.height * Self.width
        return try VideoFrame(
            width: Self.width, height: Self.height,
            pixels: .sixteenBit([UInt16](repeating: UInt16(value * 500), count: count)))
    }

    /// Behind each segment what no other one is made of is gone, and nothing else; the result has every frame once.
    @Test(arguments: [0, 1]) func whatIsSpentGoes(fade: Int) async throws {
        let place = try TemporaryFolder("segments")
        let model = URL(fileURLWithPath: place.file("tiny"))
        try TinyModel.write(to: model)
        try await place.write((0..<16).map(frame), to: "clip.mkv")
        let recipe = Recipe(
            input: place.file("clip.mkv"), output: place.file("out.mkv"), model: ModelChoice(model.path))
        let session = try ModelSession(recipe.model, text: recipe.text, Execution(device: .cpu))
        // Three scenes, in windows of two frames.
        let plan = WindowPlan(frameCount: 16, cuts: [6, 8], rules: .init(window: 2, context: 2, fade: fade))
        let segments = [0..<1, 1..<3, 3..<4, 4..<7, 7..<8]
        try #require(plan.windows.count == 8 && plan.scenes.count == 3)
        let folder = try WorkFolder.make(
            place.file("work"), nil, RunIdentity(recipe, record: nil, problem: Problem(), model: model), plan: plan,
            segments: segments, settled: SettledNumbers(session, passes: PassSizes(frames: 1)))
        for (index, window) in plan.windows.enumerated() {
            let stored = window.kept.lowerBound - window.fadeBefore..<window.kept.upperBound + window.fadeAfter
            try folder.write(
                stored.map(frame), window: index,
                WindowEntry(frames: window.kept.count, residuals: [], seconds: 1, phases: PhaseTimes()))
        }
        for scene in plan.scenes.indices {
            try Data().write(to: URL(fileURLWithPath: place.file("work/scenes/000\(scene).safetensors")))
        }
        let reader = try await VideoReader(recipe.input, countFrames: true)
        let video = try VideoSegments(
            to: recipe.output, frames: SegmentEncoder.frames(plan, segments), width: Self.width, height: Self.height,
            bitDepth: 16, frameRate: .fps25, encoding: VideoEncoding(.ffv1, bits: 16), tags: .bt709,
            keeping: OutputPlan(for: reader, to: recipe.output))
        let encoder = SegmentEncoder(folder, video)
        encoder.removeSpent()
        #expect(plan.windows.indices.allSatisfy(folder.hasWindow) && plan.scenes.indices.allSatisfy(folder.hasScene))
        for segment in segments.indices {
            try await encoder.encode(segment)
            let needed = Set(segments[(segment + 1)...].flatMap { plan.sources(of: $0) })
            #expect(Set(plan.windows.indices.filter(folder.hasWindow)) == needed, "behind segment \(segment)")
            #expect(
                plan.scenes.indices.filter(folder.hasScene) == Set(needed.map { plan.windows[$0].scene }).sorted(),
                "behind segment \(segment)")
            // What a run that goes on looks for is gone already.
            let before = try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
            encoder.removeSpent()
            #expect(try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted() == before)
        }
        try await encoder.join()
        var count = 0
        for try await result in try await VideoReader(recipe.output).frames() {
            #expect(try result == frame(count))
            count += 1
        }
        #expect(count == 16)
    }
}
