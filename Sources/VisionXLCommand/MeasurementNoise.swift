import ArgumentParser
import Foundation
import InverseProblems
import TensorKit
import VideoIO

/// What `--noise` says.
enum NoiseChoice: ExpressibleByArgument, Equatable {
    case auto
    case sigma(Double)

    init?(argument: String) {
        if argument == "auto" {
            self = .auto
        } else {
            guard let sigma = Double(argument), sigma >= 0, sigma.isFinite else { return nil }
            self = .sigma(sigma)
        }
    }

    var defaultValueDescription: String {
        switch self {
        case .auto: "auto"
        case .sigma(let sigma): "\(sigma)"
        }
    }
}

/// How noisy a measurement is taken to be, and why.
struct MeasurementNoise: Encodable, CustomStringConvertible {
    /// Standard deviation in units of [-1, 1].
    var sigma: Double
    var source: Source
    /// What the file's lossy coding adds, as a part of sigma; nil where it was not asked for or loses nothing.
    var coding: Coding?

    enum Source: String, Encodable {
        case said = "as said"
        case record = "from the measurement's .json"
        case bits = "rounding to the file's bits"
        case frames = "estimated from the frames"
    }

    struct Coding: Encodable {
        /// ffmpeg's name, "h264".
        var codec: String
        var sigma: Double
        /// Whether the quantizers were read from the file, or an ordinary one is assumed.
        var isMeasured: Bool

        /// Where the quantizer cannot be read: what a film has at x264's usual quality (crf 23).
        static let ordinary = 0.035
        /// The same for codings that are made for editing.
        static let light = 0.018
        static let lightCodecs: Set = ["prores", "dnxhd", "cfhd", "jpeg2000", "jpegxl"]
    }

    var description: String {
        guard let coding else { return String(format: "%.2g (%@)", sigma, source.rawValue) }
        return String(format: "%.2g (%@; with %.2g for ", sigma, source.rawValue, coding.sigma) + coding.codec
            + (coding.isMeasured ? "'s quantizer)" : ", a guess)")
    }

    /// - Parameters:
    ///   - record: what `degrade` wrote beside the measurement.
    ///   - frames: the first window.
    ///   - known: (h, w) of 0 and 1, nil where every pixel is measured.
    init(_ choice: NoiseChoice, record: MeasurementRecord?, reader: VideoReader, frames: [VideoFrame], known: Tensor?) async throws {
        if case .sigma(let sigma) = choice {
            self.init(sigma: sigma, source: .said)
            return
        }
        let info = reader.info
        if let noise = record?.noise {
            self.init(sigma: NoiseLevel.combined(noise.added, noise.rounding), source: .record)
        } else {
            let rounding = info.isRGB ? NoiseLevel.rounding(toBits: info.bitDepth) : NoiseLevel.roundingOfLumaAndChroma(toBits: info.bitDepth)
            let estimate = try await onThread { _ in try NoiseLevel.estimated(in: Tensor(frames: frames), known: known) } ?? 0
            self.init(sigma: max(estimate, rounding), source: estimate > rounding ? .frames : .bits)
        }
        if !info.isLossless {
            let step = try await reader.quantizerStep(firstFrames: frames.count)
            let guess = Coding.lightCodecs.contains(info.codec) ? Coding.light : Coding.ordinary
            let coding = Coding(codec: info.codec, sigma: step.map(NoiseLevel.coding(quantizerStep:)) ?? guess, isMeasured: step != nil)
            sigma = NoiseLevel.combined(sigma, coding.sigma)
            self.coding = coding
        }
    }

    private init(sigma: Double, source: Source) {
        self.sigma = sigma
        self.source = source
    }
}
