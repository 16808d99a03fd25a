import Foundation
import InverseProblems
import Metrics

/// A number that says how good a restoration is.
public enum Metric: String, Sendable, Codable, CaseIterable, CodingKeyRepresentable {
    /// Peak signal-to-noise ratio, dB.
    case psnr
    /// Structural similarity (Wang et al. 2004).
    case ssim
    /// Learned perceptual distance (Zhang et al. 2018), AlexNet.
    case lpips
    /// The same, VGG16.
    case lpipsVGG = "lpips-vgg"
    /// Fréchet video distance (Unterthiner et al. 2018): one number for all clips of a task.
    case fvd
    /// Mean change from frame to frame where the truth stands still, minus the truth's own, in units of [-1, 1].
    case flicker
    /// Mean |d/dt X - d/dt truth|, in units of [-1, 1].
    case temporalError = "temporal-error"

    /// How tables call it, with the direction that is better.
    public var title: String {
        switch self {
        case .psnr: "PSNR ↑"
        case .ssim: "SSIM ↑"
        case .lpips: "LPIPS ↓"
        case .lpipsVGG: "LPIPS (VGG) ↓"
        case .fvd: "FVD ↓"
        case .flicker: "flicker over truth ↓"
        case .temporalError: "temporal error ↓"
        }
    }

    public var isBetterWhenLarger: Bool { self == .psnr || self == .ssim }
    /// Digits after the point in tables.
    var digits: Int {
        switch self {
        case .psnr: 2
        case .ssim, .lpips, .lpipsVGG: 3
        case .fvd: 1
        case .flicker, .temporalError: 4
        }
    }
}

/// One clip, degraded in one way, stored in one way and restored by one method: what was measured of it.
public struct Cell: Sendable, Codable {
    /// What the numbers depend on. A cell of an earlier run is taken over when all of this is the same.
    public struct Settings: Sendable, Codable, Equatable {
        public var clip: String
        /// Bytes of the clip's file or files.
        public var clipBytes: Int
        public var frames: Int
        public var height: Int
        public var width: Int
        public var task: String
        public var degradation: Degradation
        public var storage: MeasurementStorage
        /// Standard deviation of the Gaussian noise on the measurement, in units of [-1, 1].
        public var noise: Double
        public var seed: UInt64
        public var method: String
        public var methodSettings: String
    }

    public var settings: Settings
    /// Per-frame metrics and their means.
    public var scores: [Metric: VideoScore] = [:]
    /// Metrics that this clip cannot have, with the reason.
    public var missing: [Metric: String] = [:]
    /// Metrics whose network was not there, with what to do about it; the next run computes them.
    public var unavailable: [Metric: String] = [:]
    /// How much the result flickers where the truth stands still, beside the truth itself.
    public var stillFlicker: StillFlicker?
    /// The clip's I3D features, from which the FVD over all clips is computed.
    public var features: [Double]?
    /// |Y - A(X)| / |Y| of the result.
    public var residual: Double?
    /// Time of the restoration alone, without loading networks.
    public var seconds: Double?
    /// The largest resident size of the process during the restoration, in bytes; nil where the system does not say.
    public var peakMemory: Int?
    /// The most of the device's own memory that was in use, in bytes, by all programs; nil on a CPU.
    public var peakDeviceMemory: Int?
    /// Why there is no result.
    public var failure: String?

    init(settings: Settings) { self.settings = settings }
}

/// What was kept of a clip's truth.
struct TruthRecord: Codable, Equatable {
    var clip: String
    var clipBytes: Int
    var frames: Int
    var height: Int
    var width: Int
    /// See `Truth.scale`.
    var scale: Double
    /// What the pictures show: left, top, side.
    var crop: [Int]
    var features: [Double]?
}
