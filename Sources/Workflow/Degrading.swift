import Foundation
import InverseProblems
import TensorKit
import VideoIO

/// What is to go wrong with a video, to test a restoration.
public struct DegradationRequest: Sendable {
    public var input: String
    /// All frames when nil.
    public var frames: FrameRange?
    public var output: String
    public var problem: Problem
    /// Standard deviation of Gaussian noise that is added, in units of [-1, 1].
    public var noise = 0.0
    /// Of the noise.
    public var seed: UInt64 = 0
    /// Frames that an average over time sees together.
    public var window = 25
    /// Of each component in lossless files: 8 or 16.
    public var bits = 16
    public var overwrites = false

    public init(input: String, output: String, problem: Problem) {
        (self.input, self.output, self.problem) = (input, output, problem)
    }

    /// Refuses numbers out of range, in a sentence.
    /// - Throws: `WorkflowError`.
    public func validate() throws {
        func check(_ condition: Bool, _ message: String) throws {
            if !condition { throw WorkflowError.message(message) }
        }
        try check(!input.isEmpty, "The input's name is empty; name a video, a folder of pictures, or a picture.")
        try check(!output.isEmpty, "The name after --output is empty; name a file or a folder.")
        try check(bits == 8 || bits == 16, "--bits must be 8 or 16.")
        try check(window >= 1, "--window must be 1 or more.")
        try check(noise >= 0 && noise.isFinite, "--noise must be 0 or more.")
    }
}

extension Workflow {
    /// Degrades a video, and writes beside the measurement the record from which `restore` takes the problem.
    /// - Returns: the record, and the size of the measured frames.
    /// - Throws: `WorkflowError`, `VideoError`, `ProblemError`, `TensorError`, `CancellationError`.
    public static func degrade(
        _ request: DegradationRequest
    ) async throws -> (record: MeasurementRecord, height: Int, width: Int) {
        try request.validate()
        var request = request
        request.problem.stages = request.problem.stages.map {
            $0.located { URL(fileURLWithPath: $0).standardizedFileURL.path }
        }
        let (problem, bits) = (request.problem, request.bits)
        try OutputCheck.output(request.output, inputs: [request.input] + problem.files, overwrites: request.overwrites)
        let recordPath = MeasurementRecord.path(beside: request.output)
        try OutputCheck.json(recordPath, others: [request.input, request.output], overwrites: request.overwrites)
        if problem.stages.isEmpty && request.noise == 0 {
            throw WorkflowError.message(
                "Say what should go wrong: --task (\(Problem.tasks.joined(separator: ", "))), the options for its parts, or --noise."
            )
        }
        let needsCount = request.frames?.isOpen ?? (problem.stage(Average.self)?.boundary == .valid)
        let reader = try await VideoReader(request.input, countFrames: needsCount)
        let info = reader.info
        var windows = try FrameWindows(reader, frames: request.frames, size: request.window)
        _ = try Engine.load()

        // The shape of one full window says the measurement's size, and refuses frames that do not fit.
        let (height, width) = (info.height, info.width)
        let masks = try await MaskFiles(problem, height: height, width: width, frames: info.frameCount)
        let files = try await masks.first()
        let A = try problem.operator(height: height, width: width, files: files)
        let shape = try A.outputShape(for: [windows.plan.longest, 3, height, width])
        // The last window may be too short for an average without a border.
        if let count = windows.plan.count, count > 0, !windows.plan[count - 1].isEmpty {
            _ = try A.outputShape(for: [windows.plan[count - 1].count, 3, height, width])
        }
        let encoding = try VideoEncoding(forPath: request.output)
        let isLossy = !encoding.codec.isLossless
        let isFloat = encoding.codec == .float32
        let depth = isFloat ? 32 : isLossy ? 16 : bits
        let writer = try await VideoWriter(
            to: request.output, width: shape[3], height: shape[2], bitDepth: depth, frameRate: info.frameRate,
            encoding: encoding,
            tags: info.tagsForCopies, overwrite: request.overwrites)
        var frameCount = 0
        do {
            var index: UInt64 = 0
            while let frames = try await windows.next() {
                // A seed of its own for every window, so that noise does not repeat.
                let (noise, seed) = (request.noise, request.seed &+ index &* 0x9E37_79B9_7F4A_7C15)
                let place = (windows.range?.lowerBound ?? 0) + frameCount
                // An average without a border leaves fewer frames, and masks are of what was measured.
                let count = masks.isFilm ? try A.outputShape(for: [frames.count, 3, height, width])[0] : frames.count
                let own = masks.isFilm ? try await masks.masks(place..<place + count) : files
                let degraded = try await onThread { checkCancellation in
                    let A = masks.isFilm ? try problem.operator(height: height, width: width, files: own) : A
                    let Y = try A.apply(Tensor(frames: frames))
                    try checkCancellation()
                    return try VideoFrame.frames(
                        of: problem.stored(addNoise(to: Y, sigma: noise, seed: seed)), bitDepth: depth)
                }
                for frame in degraded { try await writer.append(frame) }
                frameCount += frames.count
                index += 1
            }
            try await writer.finish()
        } catch {
            await writer.cancel()
            throw error
        }
        let stored = isFloat ? 32 : isLossy ? 8 : bits
        let record = MeasurementRecord(
            problem: problem, height: height, width: width, frameCount: frameCount, window: request.window,
            noise: .init(
                added: request.noise, seed: request.seed, bitDepth: stored,
                rounding: isFloat ? 0 : NoiseLevel.rounding(toBits: stored),
                isLossy: isLossy))
        try JSONFile.write(record, to: recordPath)
        return (record, shape[2], shape[3])
    }
}
