import Foundation
import InverseProblems
import Metrics

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
        public var problem: Problem
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
