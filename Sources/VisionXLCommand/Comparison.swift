import ArgumentParser
import Foundation
import Metrics
import TensorKit

/// What `compare` can measure, in the order in which it says so.
enum Measure: String, CaseIterable {
    case psnr, ssim, lpips
    case lpipsVGG = "lpips-vgg"
    case temporalError = "temporal-error"
    case flicker

    static let byDefault: [Measure] = [.psnr, .ssim]
    static let names = allCases.map(\.rawValue).joined(separator: ", ")

    /// The measures of a list like `psnr,lpips`, each once and in their own order.
    static func list(_ text: String) throws -> [Measure] {
        let named = try text.split(separator: ",", omittingEmptySubsequences: false).map { word in
            guard let measure = Measure(rawValue: word.trimmingCharacters(in: .whitespaces)) else {
                throw ValidationError("--metrics takes a list, with commas, of \(names); \"\(word)\" is none of them.")
            }
            return measure
        }
        return allCases.filter(named.contains)
    }

    /// A number with the measure's name, as it is printed.
    func text(_ value: Double) -> String {
        switch self {
        case .psnr: "PSNR \(value.isInfinite ? "inf" : String(format: "%.2f", value)) dB"
        case .ssim: "SSIM \(String(format: "%.4f", value))"
        case .lpips: "LPIPS \(String(format: "%.4f", value))"
        case .lpipsVGG: "LPIPS-VGG \(String(format: "%.4f", value))"
        case .temporalError: "temporal error \(String(format: "%.4f", value))"
        case .flicker: "flicker \(String(format: "%.4f", value))"
        }
    }
}

/// Measures two videos, of which it sees one frame at a time and keeps the frame before.
struct Comparison {
    /// The frames that were compared.
    private(set) var count = 0

    private let measures: [Measure]
    private let networks: [Measure: LPIPS]
    private var values: [Measure: [Double]] = [:]
    private var stillness: [StillFlicker] = []
    private var before: (truth: Tensor, other: Tensor)?

    /// - Throws: `WeightsError` where a measure's network is missing.
    init(_ measures: [Measure]) throws {
        self.measures = measures
        var networks: [Measure: LPIPS] = [:]
        for (measure, network) in [(Measure.lpips, LPIPS.Network.alexnet), (.lpipsVGG, .vgg16)] where measures.contains(measure) {
            networks[measure] = try LPIPS(network, device: Engine.bestDevice)
        }
        self.networks = networks
    }

    /// Measures the next frame of both, each (1, 3, H, W); the result is what there is to say of it.
    mutating func add(truth: Tensor, other: Tensor) throws -> String {
        var parts: [String] = []
        for measure in measures {
            guard let value = try value(of: measure, truth, other) else { continue }
            values[measure, default: []].append(value)
            parts.append(measure.text(value))
        }
        before = (truth, other)
        count += 1
        return parts.joined(separator: "\t")
    }

    /// Nil where there is nothing to measure: change in time at the first frame, flicker where all moves.
    private mutating func value(of measure: Measure, _ truth: Tensor, _ other: Tensor) throws -> Double? {
        do {
            switch measure {
            case .psnr: return try psnr(truth, other).mean
            case .ssim: return try ssim(truth, other).mean
            case .lpips, .lpipsVGG: return try networks[measure]?.distance(truth, other).mean
            case .temporalError, .flicker:
                guard let before else { return nil }
                let truths = try Tensor.concatenate([before.truth, truth], along: 0)
                let others = try Tensor.concatenate([before.other, other], along: 0)
                if measure == .temporalError { return try Metrics.temporalError(others, truths).mean }
                let still = try stillFlicker(others, truths)
                stillness.append(still)
                return still.video
            }
        } catch MetricError.nothingStatic {
            return nil
        }
    }

    /// The averages, as they are printed.
    var summary: String {
        let report = report
        let parts: [String?] = measures.map { measure in
            if measure == .flicker {
                return report.flicker.map {
                    let percent = String(format: "%.0f", 100 * $0.fraction)
                    return "\(measure.text($0.video)) (the reference's \(String(format: "%.4f", $0.truth)), \(percent) % of the pixels)"
                }
            }
            return report.score(measure).map { measure.text($0.mean) }
        }
        return parts.compactMap { $0 }.joined(separator: "\t")
    }

    /// Why something that was asked for could not be measured, as sentences.
    var gaps: [String] {
        let isChangeless = measures.contains { [.temporalError, .flicker].contains($0) } && count < 2
        if isChangeless { return ["\(MetricError.tooFewFrames(count, least: 2))"] }
        let isRestless = measures.contains(.flicker) && report.flicker == nil
        return isRestless ? ["\(MetricError.nothingStatic(threshold: StillFlicker.threshold))"] : []
    }

    struct Report: Encodable {
        var psnr: VideoScore?
        var ssim: VideoScore?
        var lpips: VideoScore?
        var lpipsVGG: VideoScore?
        var temporalError: VideoScore?
        var flicker: StillFlicker?

        func score(_ measure: Measure) -> VideoScore? {
            switch measure {
            case .psnr: psnr
            case .ssim: ssim
            case .lpips: lpips
            case .lpipsVGG: lpipsVGG
            case .temporalError: temporalError
            case .flicker: nil
            }
        }
    }

    var report: Report {
        func score(_ measure: Measure) -> VideoScore? { values[measure].map { VideoScore(perFrame: $0) } }
        return Report(
            psnr: score(.psnr), ssim: score(.ssim), lpips: score(.lpips), lpipsVGG: score(.lpipsVGG),
            temporalError: score(.temporalError), flicker: StillFlicker(of: stillness, pairs: count - 1))
    }
}

extension StillFlicker {
    /// The flicker of a whole video of its pairs', of which those without a still pixel may be left out; nil where none has one.
    fileprivate init?(of parts: [StillFlicker], pairs: Int) {
        let weight = parts.reduce(0) { $0 + $1.fraction }
        guard weight > 0 else { return nil }
        self.init(
            video: parts.reduce(0) { $0 + $1.video * $1.fraction } / weight,
            truth: parts.reduce(0) { $0 + $1.truth * $1.fraction } / weight, fraction: weight / Double(pairs))
    }
}
