import ArgumentParser
import Foundation
import Metrics
import TensorKit
import VideoIO

struct CompareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Measure how far two videos are apart.",
        discussion: """
            PSNR in dB and SSIM (Wang et al. 2004, Gaussian window of 11 pixels, sigma 1.5), for every frame and on average.

              visionxl compare truth.mkv restored.mkv --side-by-side both.png
            """)

    @Argument(help: "The reference: a video, a folder of pictures, or a picture.")
    var reference: String

    @Argument(help: "What is compared with it, of the same size and length.")
    var other: String

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
        if let frame, frame < 0 { throw ValidationError("--frame must be 0 or more.") }
        if frame != nil && !isPicture { throw ValidationError("--frame chooses the frame of a .png given with --side-by-side.") }
    }

    mutating func run() async throws {
        if let sideBySide { try Media.check(output: sideBySide, inputs: [reference, other], force: force) }
        if let json { try Media.check(json: json, others: [reference, other] + (sideBySide.map { [$0] } ?? []), force: force) }
        let isCounted = isPicture || frames?.isOpen ?? false
        let readers = (
            try await VideoReader(reference, countFrames: isCounted), try await VideoReader(other, countFrames: isCounted)
        )
        let (info, second) = (readers.0.info, readers.1.info)
        guard info.width == second.width, info.height == second.height else {
            throw CommandError.message(
                "\(reference) is \(info.width)x\(info.height) and \(other) \(second.width)x\(second.height); only videos of one size can be "
                    + "compared.")
        }
        var left = try FrameWindows(readers.0, frames: frames, size: 1)
        var right = try FrameWindows(readers.1, frames: frames, size: 1)
        _ = try Engine.load()
        let pictured = frame ?? left.frameCount.map { $0 / 2 } ?? 0
        var writer: VideoWriter?
        if let sideBySide, !isPicture {
            writer = try await VideoWriter(
                to: sideBySide, width: 2 * info.width, height: info.height, bitDepth: 8, frameRate: info.frameRate, overwrite: force)
        }
        var comparison = Comparison()
        var picture: VideoFrame?
        do {
            while true {
                let (a, b) = (try await left.next()?.first, try await right.next()?.first)
                guard let a, let b else {
                    guard a == nil && b == nil else {
                        throw CommandError.message(
                            "\(a == nil ? reference : other) ends after \(comparison.psnr.count) frames and the other goes on; choose the same "
                                + "frames of both with --frames a:b.")
                    }
                    break
                }
                let (scores, joined) = try Self.compare(a, b, joining: writer != nil || comparison.psnr.count == pictured)
                comparison.add(scores)
                if comparison.psnr.count == pictured + 1 { picture = joined }
                if let writer, let joined { try await writer.append(joined) }
                if !quiet {
                    Console.print("frame \(comparison.psnr.count - 1)\tPSNR \(format(scores.psnr)) dB\tSSIM \(String(format: "%.4f", scores.ssim))")
                }
            }
            try await writer?.finish()
        } catch {
            await writer?.cancel()
            throw error
        }
        if let sideBySide, isPicture {
            guard let picture else {
                throw CommandError.message("There is no frame \(pictured): \(comparison.psnr.count) frames were compared.")
            }
            try await picture.writePNG(to: sideBySide, overwrite: force)
        }
        guard !comparison.psnr.isEmpty else { throw CommandError.message("\(reference) has no frames to compare.") }
        if let json { try JSONFile.write(comparison.report, to: json) }
        Console.print("mean\tPSNR \(format(comparison.report.psnr.mean)) dB\tSSIM \(String(format: "%.4f", comparison.report.ssim.mean))")
    }

    private func format(_ decibels: Double) -> String { decibels.isInfinite ? "inf" : String(format: "%.2f", decibels) }

    private static func compare(_ a: VideoFrame, _ b: VideoFrame, joining: Bool) throws
        -> (scores: (psnr: Double, ssim: Double), joined: VideoFrame?)
    {
        let (x, y) = (try Tensor(frames: [a]), try Tensor(frames: [b]))
        let scores = (psnr: try psnr(x, y).mean, ssim: try ssim(x, y).mean)
        let joined = joining ? try VideoFrame.frames(of: Tensor.concatenate([x, y], along: 3), bitDepth: 8).first : nil
        return (scores, joined)
    }

    private struct Comparison {
        var psnr: [Double] = []
        var ssim: [Double] = []

        struct Report: Encodable {
            var psnr: VideoScore
            var ssim: VideoScore
        }

        mutating func add(_ scores: (psnr: Double, ssim: Double)) {
            psnr.append(scores.psnr)
            ssim.append(scores.ssim)
        }

        var report: Report { Report(psnr: VideoScore(perFrame: psnr), ssim: VideoScore(perFrame: ssim)) }
    }
}
