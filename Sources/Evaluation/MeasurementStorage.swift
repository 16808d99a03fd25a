import Foundation
import InverseProblems
import TensorKit
import VideoIO
import Workflow

/// How a measurement is kept between the degradation and the restoration: what is lost on the way is noise that the paper's float
/// measurements do not have.
///
/// Written as `float`, `8bit` and `h264:23` on the command line, in tables and in files.
public enum MeasurementStorage: Hashable, Sendable {
    /// As it comes out of the operator, in float32: the paper's way.
    case float
    /// Rounded to 8 bits, as in a lossless file.
    case eightBit
    /// Through an H.264 file of this CRF (x264, 4:2:0), 0 ... 51.
    case h264(quality: Int)

    /// A measurement as it is after it was stored, on its own device, with the noise that `restore` would find for such a file.
    ///
    /// Cost: nothing for `float`, one pass for `eightBit`; for `h264` a file in the temporary folder, which is removed.
    /// - Parameters:
    ///   - measurement: pixels in [-1, 1]; what is beyond is clipped by a file. Its noise is what was added.
    ///   - problem: how its frames look in a file.
    /// - Throws: `VideoError` when ffmpeg is missing or fails.
    public func stored(_ measurement: VideoMeasurement, of problem: Problem) async throws -> VideoMeasurement {
        let (exact, added) = (measurement.frames, measurement.noise.sigma)
        switch self {
        case .float: return try await found(in: exact, of: measurement, problem, added: added)
        case .eightBit:
            return try await found(in: exact.rounded(toBits: 8), of: measurement, problem, added: added, bits: 8)
        case .h264(let quality):
            let folder = try ScratchFolder()
            defer { withExtendedLifetime(folder) {} }
            let path = folder.file("measurement.mp4")
            try await write(problem.stored(exact), to: path, quality: quality)
            let reader = try await VideoReader(path)
            var frames: [Tensor] = []
            for try await frame in reader.frames() { frames.append(try frame.tensor) }
            let read = try problem.reduced(Tensor.stack(frames)).to(exact.device)
            return try await found(in: read, of: measurement, problem, added: added, bits: 8, reader: reader)
        }
    }

    private func write(_ video: Tensor, to path: String, quality: Int) async throws {
        let writer = try await VideoWriter(
            to: path, width: video.size(3), height: video.size(2), bitDepth: 16, frameRate: .fps25,
            encoding: .h264(quality: quality))
        do {
            // Frame by frame: a frame in integers is as large as half of one in float32.
            for index in 0..<video.size(0) {
                try await writer.append(VideoFrame(tensor: video.select(0, index), bitDepth: 16))
            }
            try await writer.finish()
        } catch {
            await writer.cancel()
            throw error
        }
    }

    /// The noise is what `degrade` would have written beside the file, and what its coding adds.
    private func found(
        in frames: Tensor, of measurement: VideoMeasurement, _ problem: Problem, added: Double, bits: Int? = nil,
        reader: VideoReader? = nil
    ) async throws -> VideoMeasurement {
        let recorded = MeasurementRecord.Noise(
            added: added, bitDepth: bits ?? 32, rounding: bits.map(NoiseLevel.rounding(toBits:)) ?? 0,
            isLossy: reader != nil)
        let noise = try await NoiseFigure.found(
            .auto, of: problem, recorded: recorded, in: reader, frames: frames, known: measurement.known)
        return try VideoMeasurement(frames, operator: measurement.operator, noise: noise)
    }
}

extension MeasurementStorage: CustomStringConvertible, LosslessStringConvertible, Codable {
    public var description: String {
        switch self {
        case .float: "float"
        case .eightBit: "8bit"
        case .h264(let quality): "h264:\(quality)"
        }
    }

    public init?(_ text: String) {
        switch text {
        case "float": self = .float
        case "8bit": self = .eightBit
        default:
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0] == "h264", let quality = Int(parts[1]), (0...51).contains(quality) else {
                return nil
            }
            self = .h264(quality: quality)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Self(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\"\(text)\" is no way to store a measurement.")
        }
        self = value
    }
}
