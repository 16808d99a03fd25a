import Foundation
import InverseProblems
import TensorKit
import VideoIO

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

    /// Standard deviation of the noise of a stored measurement, in units of [-1, 1]: what was added, and what storing it rounds away; for a
    /// lossy file what its frames show, since nothing says more of it.
    /// - Parameters:
    ///   - measurement: what `stored` made.
    ///   - added: of the noise that was there before.
    ///   - known: as for `stored`.
    public func noise(of measurement: Tensor, added: Double, known: Tensor? = nil) throws -> Double {
        switch self {
        case .float: added
        case .eightBit: NoiseLevel.combined(added, NoiseLevel.rounding(toBits: 8))
        case .h264:
            max(
                try NoiseLevel.estimated(in: measurement, known: known) ?? 0, NoiseLevel.combined(added, NoiseLevel.rounding(toBits: 8)))
        }
    }

    /// Y as it is after it was stored, in float32 on its own device.
    ///
    /// Cost: nothing for `float`, one pass for `eightBit`; for `h264` a file in the temporary folder, which is removed.
    /// - Parameters:
    ///   - measurement: (N, 3, h, w) in [-1, 1]. What is beyond is clipped by a file.
    ///   - known: (h, w) of 0 and 1 where only a part of the pixels is measured: what a file puts into the holes is taken out again.
    /// - Throws: `VideoError` when ffmpeg is missing or fails.
    public func stored(_ measurement: Tensor, known: Tensor? = nil) async throws -> Tensor {
        var result: Tensor
        switch self {
        case .float: return measurement
        case .eightBit: result = try measurement.rounded(toBits: 8)
        case .h264(let quality):
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("visionxl-measurement-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let path = folder.appendingPathComponent("measurement.mp4").path
            let writer = try await VideoWriter(
                to: path, width: measurement.size(3), height: measurement.size(2), bitDepth: 16, frameRate: .fps25,
                encoding: .h264(quality: quality))
            do {
                // Frame by frame: a frame in integers is as large as half of one in float32.
                for index in 0..<measurement.size(0) {
                    try await writer.append(VideoFrame(tensor: measurement.select(0, index), bitDepth: 16))
                }
                try await writer.finish()
            } catch {
                await writer.cancel()
                throw error
            }
            var frames: [Tensor] = []
            for try await frame in try await VideoReader(path).frames() { frames.append(try frame.tensor) }
            result = try Tensor.stack(frames).to(measurement.device)
        }
        if let known { result = try result * known.to(result.device) }
        return result
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
            guard parts.count == 2, parts[0] == "h264", let quality = Int(parts[1]), (0...51).contains(quality) else { return nil }
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
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(text)\" is no way to store a measurement.")
        }
        self = value
    }
}
