import Metrics
import Synchronization
import TensorKit

/// Computes an evaluation's metrics; loads their networks when the first cell wants them.
final class Scorer: Sendable {
    private let metrics: [Metric]
    private let device: Device
    private let networks = Mutex(Networks())

    private struct Networks: Sendable {
        var distances: [LPIPS.Network: LPIPS] = [:]
        var video: I3D?
    }

    init(metrics: [Metric], device: Device) {
        self.metrics = metrics
        self.device = device
    }

    func wants(_ metric: Metric) -> Bool { metrics.contains(metric) }

    /// Why a metric cannot be computed on this machine; nil where it can.
    func unavailable(_ metric: Metric) -> String? {
        metric.missingNetwork.map { "\($0)" }
    }

    /// What is wanted and could be computed now, but is not in a cell.
    func lacking(in cell: Cell) -> [Metric] {
        metrics.filter { metric in
            let isThere = metric == .fvd ? cell.features != nil : cell.scores[metric] != nil
            return !isThere && cell.missing[metric] == nil && unavailable(metric) == nil
        }
    }

    /// Puts metrics of `video` into a cell; those that cannot be had, with the reason.
    /// - Parameter check: throws when the work is to stop.
    func score(_ video: Tensor, _ truth: Tensor, _ metrics: [Metric], into cell: inout Cell, _ check: () throws -> Void) throws {
        for metric in metrics {
            try check()
            if let reason = unavailable(metric) {
                cell.unavailable[metric] = reason
                continue
            }
            cell.unavailable[metric] = nil
            do {
                switch metric {
                case .psnr: cell.scores[metric] = try psnr(video, truth)
                case .ssim: cell.scores[metric] = try ssim(video, truth)
                case .lpips: cell.scores[metric] = try perceptualDistance(.alexnet).distance(video, truth)
                case .lpipsVGG: cell.scores[metric] = try perceptualDistance(.vgg16).distance(video, truth)
                case .temporalError: cell.scores[metric] = try temporalError(video, truth)
                case .flicker:
                    let flicker = try stillFlicker(video, truth)
                    cell.stillFlicker = flicker
                    cell.scores[metric] = VideoScore(perFrame: [flicker.excess])
                case .fvd: cell.features = try features(of: video)
                }
            } catch let error as MetricError {
                // A short clip has no change in time, a restless one nothing that stands still: the other metrics hold.
                cell.missing[metric] = "\(error)"
            }
        }
    }

    /// I3D features of a clip; nil where they are not wanted or cannot be had.
    func features(of video: Tensor) throws -> [Double]? {
        guard wants(.fvd), unavailable(.fvd) == nil else { return nil }
        guard video.size(0) >= I3D.leastFrames else { throw MetricError.tooFewFrames(video.size(0), least: I3D.leastFrames) }
        let network = try networks.withLock { networks in
            let network = try networks.video ?? I3D(device: device)
            networks.video = network
            return network
        }
        return try network.features(of: video).to(.float64).to(.cpu).array(of: Double.self)
    }

    private func perceptualDistance(_ network: LPIPS.Network) throws -> LPIPS {
        try networks.withLock { networks in
            let distance = try networks.distances[network] ?? LPIPS(network, device: device)
            networks.distances[network] = distance
            return distance
        }
    }
}
