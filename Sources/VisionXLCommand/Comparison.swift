import Foundation
import Metrics

/// What `compare` writes as JSON.
struct ComparisonNumbers: Encodable {
    private let psnr: VideoScore?
    private let ssim: VideoScore?
    private let lpips: VideoScore?
    private let lpipsVGG: VideoScore?
    private let temporalError: VideoScore?
    private let flicker: StillFlicker?

    init(_ comparison: VideoComparison) {
        let scores = comparison.scores
        (psnr, ssim, lpips, lpipsVGG) = (scores[.psnr], scores[.ssim], scores[.lpips], scores[.lpipsVGG])
        (temporalError, flicker) = (scores[.temporalError], comparison.stillFlicker)
    }
}

/// What `compare` prints.
extension VideoComparison {
    /// A frame's numbers with their names.
    func line(_ values: [Metric: Double]) -> String {
        metrics.compactMap { metric in values[metric].map(metric.text) }.joined(separator: "\t")
    }

    /// The averages with their names.
    var summary: String {
        let scores = scores
        let parts = metrics.compactMap { metric -> String? in
            guard metric == .flicker else { return scores[metric].map { metric.text($0.mean) } }
            return stillFlicker.map {
                let reference = String(format: "%.4f", $0.truth)
                let percent = String(format: "%.0f", 100 * $0.fraction)
                return "\(metric.text($0.video)) (the reference's \(reference), \(percent) % of the pixels)"
            }
        }
        return parts.joined(separator: "\t")
    }

    /// Why something that was asked for could not be measured, as sentences.
    var reasons: [String] {
        let gaps = gaps
        return metrics.compactMap { metric in gaps[metric].map { "No \(metric.rawValue): \($0)" } }
    }
}

extension Metric {
    /// A number with the metric's name.
    fileprivate func text(_ value: Double) -> String {
        let number = value.isInfinite ? "inf" : String(format: self == .psnr ? "%.2f" : "%.4f", value)
        // Not the flicker over the reference's: that one is said beside it.
        return "\(self == .flicker ? rawValue : name) \(number)\(self == .psnr ? " dB" : "")"
    }
}
