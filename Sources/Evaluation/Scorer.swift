import Metrics
import TensorKit

/// Computes an evaluation's metrics; their networks are loaded when the first cell wants them.
struct Scorer: Sendable {
    private let metrics: [Metric]
    private let networks: MetricNetworks

    init(metrics: [Metric], device: Device) {
        self.metrics = metrics
        networks = MetricNetworks(device: device)
    }

    func wants(_ metric: Metric) -> Bool { metrics.contains(metric) }

    /// Why a metric cannot be computed on this machine; nil where it can.
    func unavailable(_ metric: Metric) -> String? { metric.missingNetwork.map { "\($0)" } }

    /// What is wanted and could be computed now, but is not in a cell.
    func lacking(in cell: Cell) -> [Metric] {
        metrics.filter { metric in
            let isThere = metric == .fvd ? cell.features != nil : cell.scores[metric] != nil
            return !isThere && cell.missing[metric] == nil && unavailable(metric) == nil
        }
    }

    /// Puts metrics of `video` into a cell; those that cannot be had, with the reason.
    /// - Parameter check: throws when the work is to stop.
    func score(
        _ video: Tensor, _ truth: Tensor, _ metrics: [Metric], into cell: inout Cell, _ check: () throws -> Void
    ) throws {
        for metric in metrics { cell.unavailable[metric] = unavailable(metric) }
        let available = metrics.filter { cell.unavailable[$0] == nil }
        var comparison = try VideoComparison(available.filter { $0 != .fvd }, networks: networks)
        for index in 0..<video.size(0) {
            try check()
            try comparison.add(reference: truth.rows(index..<index + 1), other: video.rows(index..<index + 1))
        }
        cell.scores.merge(comparison.scores) { $1 }
        if let flicker = comparison.stillFlicker {
            cell.stillFlicker = flicker
            cell.scores[.flicker] = VideoScore(perFrame: [flicker.excess])
        }
        // A short clip has no change in time, a restless one nothing that stands still: the other metrics hold.
        cell.missing.merge(comparison.gaps.mapValues { "\($0)" }) { $1 }
        guard available.contains(.fvd) else { return }
        try check()
        do {
            cell.features = try features(of: video)
        } catch let error as MetricError {
            cell.missing[.fvd] = "\(error)"
        }
    }

    /// I3D features of a clip; nil where they are not wanted or cannot be had.
    func features(of video: Tensor) throws -> [Double]? {
        guard wants(.fvd), unavailable(.fvd) == nil else { return nil }
        return try networks.i3d().features(of: video).array(of: Double.self)
    }
}
