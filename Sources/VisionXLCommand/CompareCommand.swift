import ArgumentParser
import Foundation
import Metrics
import TensorKit
import VideoIO
import Workflow

struct CompareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Measure how far two videos are apart.",
        discussion: """
            Says how far for every frame and on average. Only evaluate has fvd.

            \(Metric.overview)

              visionxl compare truth.mkv restored.mkv --side-by-side both.png
              visionxl compare truth.mkv restored.mkv --metrics psnr,lpips,flicker
            """)

    @Argument(help: "The reference: a video, a folder of pictures, or a picture.")
    var reference: String

    @Argument(help: "What is compared with it, of the same size and length.")
    var other: String

    @Option(help: Metric.help(default: "psnr,ssim"), transform: Metric.named)
    var metrics: [Metric] = [.psnr, .ssim]

    @Option(help: ArgumentHelp("Only the frames from a to before b of both, counted from 0.", valueName: "a:b"))
    var frames: FrameRange?

    @Option(help: ArgumentHelp("Write both beside each other: a .png of one frame, or a video.", valueName: "file"))
    var sideBySide: String?

    @Option(help: "The frame of --side-by-side's picture, counted in what is compared. (default: the middle one)")
    var frame: Int?

    @Option(help: ArgumentHelp("Write the numbers.", valueName: "file"))
    var json: String?

    @Flag(help: "Replace the side-by-side output if it exists.")
    var force = false

    @Flag(help: "Only the averages.")
    var quiet = false

    private var isPicture: Bool { sideBySide.map { ($0 as NSString).pathExtension.lowercased() == "png" } ?? false }

    mutating func validate() throws {
        if metrics.contains(.fvd) { throw ValidationError("\(MetricError.comparesSets)") }
        if let frame, frame < 0 { throw ValidationError("--frame must be 0 or more.") }
        if frame != nil && !isPicture {
            throw ValidationError("--frame chooses the frame of a .png given with --side-by-side.")
        }
    }

    mutating func run() async throws {
        if let sideBySide { try OutputCheck.output(sideBySide, inputs: [reference, other], overwrites: force) }
        if let json {
            try OutputCheck.json(json, others: [reference, other] + (sideBySide.map { [$0] } ?? []), overwrites: force)
        }
        let isCounted = isPicture || frames?.isOpen ?? false
        let readers = (
            try await VideoReader(reference, countFrames: isCounted),
            try await VideoReader(other, countFrames: isCounted)
        )
        let (info, second) = (readers.0.info, readers.1.info)
        guard info.width == second.width, info.height == second.height else {
            throw WorkflowError.message(
                "\(reference) is \(info.width)x\(info.height) and \(other) \(second.width)x\(second.height); only videos of one size can be "
                    + "compared.")
        }
        var left = try FrameWindows(readers.0, frames: frames, size: 1)
        var right = try FrameWindows(readers.1, frames: frames, size: 1)
        _ = try Engine.load()
        var comparison = try VideoComparison(metrics, networks: MetricNetworks(device: Engine.bestDevice))
        let pictured = frame ?? left.plan.frameCount.map { $0 / 2 } ?? 0
        var writer: VideoWriter?
        if let sideBySide, !isPicture {
            writer = try await VideoWriter(
                to: sideBySide, width: 2 * info.width, height: info.height, bitDepth: 8, frameRate: info.frameRate,
                overwrite: force)
        }
        var picture: VideoFrame?
        do {
            while true {
                let (a, b) = (try await left.next()?.first, try await right.next()?.first)
                guard let a, let b else {
                    guard a == nil && b == nil else {
                        throw WorkflowError.message(
                            "\(a == nil ? reference : other) ends after \(comparison.frameCount) frames and the other goes on; choose the same "
                                + "frames of both with --frames a:b.")
                    }
                    break
                }
                let joins = writer != nil || comparison.frameCount == pictured
                let (line, joined) = try Self.compare(a, b, in: &comparison, joining: joins)
                if comparison.frameCount == pictured + 1 { picture = joined }
                if let writer, let joined { try await writer.append(joined) }
                if !quiet && !line.isEmpty { Console.print("frame \(comparison.frameCount - 1)\t\(line)") }
            }
            try await writer?.finish()
        } catch {
            await writer?.cancel()
            throw error
        }
        if let sideBySide, isPicture {
            guard let picture else {
                throw WorkflowError.message(
                    "There is no frame \(pictured): \(comparison.frameCount) frames were compared.")
            }
            try await picture.writePNG(to: sideBySide, overwrite: force)
        }
        guard comparison.frameCount > 0 else { throw WorkflowError.message("\(reference) has no frames to compare.") }
        guard !comparison.summary.isEmpty else {
            throw WorkflowError.message(comparison.reasons.joined(separator: " "))
        }
        if let json { try JSONFile.write(ComparisonNumbers(comparison), to: json) }
        Console.print("mean\t\(comparison.summary)")
        for reason in comparison.reasons { Console.note(reason) }
    }

    private static func compare(
        _ a: VideoFrame, _ b: VideoFrame, in comparison: inout VideoComparison, joining: Bool
    ) throws -> (line: String, joined: VideoFrame?) {
        let (x, y) = (try Tensor(frames: [a]), try Tensor(frames: [b]))
        let line = try comparison.add(reference: x, other: y).map(comparison.line).joined()
        let joined = joining ? try VideoFrame.frames(of: Tensor.concatenate([x, y], along: 3), bitDepth: 8).first : nil
        return (line, joined)
    }
}
