import Foundation
import InverseProblems
import LatentDiffusion
import Metrics
import TensorKit
import VideoIO
import VisionXL
import Workflow

/// Blurs a clip, restores it in two ways, and prints how near both come.
///
///     swift run RestoreClip clip.mp4
@main
struct RestoreClip {
    static func main() async throws {
        guard CommandLine.arguments.count == 2 else {
            print("Name a clip: swift run RestoreClip clip.mp4")
            exit(64)
        }
        let clip = CommandLine.arguments[1]
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("restore-clip-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }

        // From file to file: the noise is found in the measured file.
        let problem = Problem(Blur(sigma: 2))
        let (measured, restored) = (folder.path + "/measured.mkv", folder.path + "/restored.mkv")
        var request = DegradationRequest(input: clip, output: measured, problem: problem)
        request.frames = FrameRange("0:5")
        request.bits = 8
        _ = try await Workflow.degrade(request)
        try await Workflow.restore(Recipe(input: measured, output: restored, problem: problem))

        let truth = try await frames(of: clip)
        let file = try await frames(of: restored)
        print("from file to file: \(String(format: "%.2f", try psnr(file, truth).mean)) dB")

        // Tensors: the noise is a part of the measurement.
        let model = try LatentDiffusionModel(at: ModelLibrary.url(named: "builtin"))
        let A = try problem.operator(height: truth.size(2), width: truth.size(3))
        let measurement = try VideoMeasurement(
            A.apply(truth).rounded(toBits: 8), operator: A, noise: .rounding(toBits: 8))
        let result = try Solver(prior: LatentDiffusionPrior(model)).restore(measurement)
        print("measured:          \(String(format: "%.2f", try psnr(measurement.frames, truth).mean)) dB")
        print(
            "tensors:           \(String(format: "%.2f", try psnr(result.frames.clamped(to: -1...1), truth).mean)) dB")
    }

    /// The first five frames, (5, 3, H, W) in [-1, 1].
    private static func frames(of path: String) async throws -> Tensor {
        var frames: [VideoFrame] = []
        for try await frame in try await VideoReader(path).frames(0..<5) { frames.append(frame) }
        return try Tensor(frames: frames)
    }
}
