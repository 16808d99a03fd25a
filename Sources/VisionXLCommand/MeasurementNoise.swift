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

    enum Source: String, Encodable {
        case said = "as said"
        case record = "from the measurement's .json"
        case bits = "rounding to the file's bits"
        case frames = "estimated from the frames"
    }

    var description: String { String(format: "%.2g (%@)", sigma, source.rawValue) }

    /// - Parameters:
    ///   - record: what `degrade` wrote beside the measurement.
    ///   - frames: the first window.
    ///   - known: (h, w) of 0 and 1, nil where every pixel is measured.
    init(_ choice: NoiseChoice, record: MeasurementRecord?, info: VideoInfo, frames: [VideoFrame], known: Tensor?) async throws {
        if case .sigma(let sigma) = choice {
            self.init(sigma: sigma, source: .said)
            return
        }
        if let noise = record?.noise, !noise.isLossy {
            self.init(sigma: NoiseLevel.combined(noise.added, noise.rounding), source: .record)
            return
        }
        let rounding = NoiseLevel.rounding(toBits: info.bitDepth)
        let estimate = try await onThread { _ in try NoiseLevel.estimated(in: Tensor(frames: frames), known: known) } ?? 0
        if estimate > rounding {
            self.init(sigma: estimate, source: .frames)
        } else {
            self.init(sigma: rounding, source: .bits)
        }
    }

    private init(sigma: Double, source: Source) {
        self.sigma = sigma
        self.source = source
    }
}
