import Foundation
import TestSupport
import Testing

@testable import VideoIO

/// Runs ffmpeg and insists that it succeeds.
func ffmpeg(_ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let (_, messages, succeeded) = try await FFmpeg.collect(
        "ffmpeg", FFmpeg.quietly + ["-y"] + arguments, limit: 1 << 20)
    try #require(succeeded, "\(messages)", sourceLocation: sourceLocation)
}

/// A moving test picture as H.264.
func makeClip(
    _ path: String, frames: Int = 10, size: String = "64x48", rate: String = "25", extra: [String] = []
) async throws {
    try await ffmpeg(
        ["-f", "lavfi", "-i", "testsrc2=size=\(size):rate=\(rate)", "-frames:v", "\(frames)"]
            + ["-c:v", "libx264", "-pix_fmt", "yuv420p"] + extra + ["file:" + path])
}

/// A frame whose components walk through all values.
func patternFrame(width: Int, height: Int, bitDepth: Int, seed: Int = 0) throws -> VideoFrame {
    let count = width * height * 3
    return try VideoFrame(
        width: width, height: height,
        pixels: bitDepth == 8
            ? .eightBit((0..<count).map { UInt8(truncatingIfNeeded: ($0 + seed) &* 37) })
            : .sixteenBit((0..<count).map { UInt16(truncatingIfNeeded: ($0 + seed) &* 40503) }))
}

/// Red, green and blue of one pixel as fractions.
func colour(_ frame: VideoFrame, x: Int, y: Int) -> [Double] {
    (0..<3).map { c in
        let i = (y * frame.width + x) * 3 + c
        return switch frame.pixels {
        case .eightBit(let values): Double(values[i]) / 255
        case .sixteenBit(let values): Double(values[i]) / 65535
        case .float(let values): Double(values[i] + 1) / 2
        }
    }
}

func allFrames(_ sequence: FrameSequence) async throws -> [VideoFrame] {
    var frames: [VideoFrame] = []
    for try await frame in sequence { frames.append(frame) }
    return frames
}

func write(
    _ frames: [VideoFrame], to path: String, rate: FrameRate = .fps25, encoding: VideoEncoding? = nil,
    copyStreams source: String? = nil, overwrite: Bool = false
) async throws {
    var plan: OutputPlan?
    if let source { plan = try OutputPlan(for: await VideoReader(source, countFrames: true), to: path) }
    let writer = try await VideoWriter(
        to: path, width: frames[0].width, height: frames[0].height, bitDepth: frames[0].bitDepth, frameRate: rate,
        encoding: encoding, keeping: plan, overwrite: overwrite)
    for frame in frames { try await writer.append(frame) }
    try await writer.finish()
}

/// The error that `body` throws, as a `VideoError`.
func videoError(_ body: () async throws -> Void) async -> VideoError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? VideoError
    }
}
