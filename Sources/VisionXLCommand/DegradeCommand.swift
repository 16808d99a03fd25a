import ArgumentParser
import Foundation
import InverseProblems
import TensorKit
import VideoIO

struct DegradeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "degrade",
        abstract: "Degrade a video, to test a restoration.",
        discussion: """
            Writes the measurement, and beside it a .json file from which `restore` takes the task. A .mkv or a folder stores 16 bits: a
            measurement of 8 bits is one with noise, and the .json says how much.

              visionxl degrade clip.mp4 -o measurement.mkv --task deblur+ --noise 0.01
            """)

    @Argument(help: "A video, a folder of PNG or JPEG pictures, or a picture.")
    var input: String

    @Option(name: .shortAndLong, help: "A .mkv (lossless), a .mp4 (H.264, 8 bits), or a folder for PNG pictures.")
    var output: String

    @OptionGroup(title: "What goes wrong")
    var task: TaskOptions

    @Option(help: "Standard deviation of Gaussian noise that is added, in units of the pixel range [-1, 1].")
    var noise = 0.0

    @Option(help: "Seed of the noise.")
    var seed: UInt64 = 0

    @Option(help: ArgumentHelp("Only the frames from a to before b, counted from 0.", valueName: "a:b"))
    var frames: FrameRange?

    @Option(help: "Frames that an average over time sees together.")
    var window = 25

    @Option(help: "Bits of each component in .mkv files and PNG pictures: 8 or 16.")
    var bits = 16

    @Flag(help: "Replace the output if it exists.")
    var force = false

    mutating func validate() throws {
        guard bits == 8 || bits == 16 else { throw ValidationError("--bits must be 8 or 16.") }
        guard window >= 1 else { throw ValidationError("--window must be 1 or more.") }
        guard noise >= 0, noise.isFinite else { throw ValidationError("--noise must be 0 or more.") }
        try Media.requireNames(input: input, output: output)
    }

    mutating func run() async throws {
        try Media.check(output: output, inputs: [input] + (task.mask.map { [$0] } ?? []), force: force)
        let recordPath = MeasurementRecord.path(beside: output)
        try Media.check(json: recordPath, others: [input, output], force: force)
        if task.isEmpty && noise == 0 {
            throw CommandError.message(
                "Say what should go wrong: --task (\(Degradation.tasks.joined(separator: ", "))), the options for its parts, or --noise.")
        }
        var degradation = try task.degradation()
        if let file = degradation.maskFile { degradation.maskFile = URL(fileURLWithPath: file).standardizedFileURL.path }
        let reader = try await VideoReader(input, countFrames: frames?.isOpen ?? false)
        let info = reader.info
        var windows = try FrameWindows(reader, frames: frames, size: window)
        _ = try Engine.load()

        // The shape of one full window says the measurement's size, and refuses frames that do not fit.
        let (height, width) = (info.height, info.width)
        let scale = degradation.scale ?? 1
        var mask: Tensor?
        if let file = degradation.maskFile { mask = try await Media.mask(file, height: height / scale, width: width / scale) }
        let longest = max(windows.frameCount.map { min($0, window) } ?? window, 1)
        let shape = try degradation.operator(height: height, width: width, mask: mask).outputShape(for: [longest, 3, height, width])
        let encoding = try VideoEncoding(forPath: output)
        let isLossy = encoding != .ffv1 && encoding != .png
        let depth = isLossy ? 8 : bits
        let writer = try await VideoWriter(
            to: output, width: shape[3], height: shape[2], bitDepth: isLossy ? 16 : bits, frameRate: info.frameRate, encoding: encoding,
            tags: info.colour, overwrite: force)
        var frameCount = 0
        do {
            var index = 0
            while let video = try await windows.next() {
                let (degradation, mask, noise, seed, number) = (degradation, mask, noise, seed, UInt64(index))
                let degraded = try await onThread { checkCancellation in
                    let A = try degradation.operator(height: height, width: width, mask: mask)
                    var y = try A.apply(Tensor(frames: video))
                    try checkCancellation()
                    // A seed of its own for every window, so that noise does not repeat.
                    if noise > 0 { y = try addNoise(to: y, sigma: noise, seed: seed &+ number &* 0x9E37_79B9_7F4A_7C15) }
                    return try VideoFrame.frames(of: y, bitDepth: isLossy ? 16 : depth)
                }
                for frame in degraded { try await writer.append(frame) }
                frameCount += video.count
                index += 1
            }
            try await writer.finish()
        } catch {
            await writer.cancel()
            throw error
        }
        let record = MeasurementRecord(
            degradation: degradation, height: height, width: width, frameCount: frameCount, window: window,
            noise: .init(
                added: noise, seed: seed, bitDepth: depth, rounding: NoiseLevel.rounding(toBits: depth), isLossy: isLossy))
        try record.write(to: recordPath)
        Console.note("\(output): \(frameCount) \(frameCount == 1 ? "frame" : "frames") of \(width)x\(height) measured as \(shape[3])x\(shape[2]); the task is in \(recordPath)")
    }
}
