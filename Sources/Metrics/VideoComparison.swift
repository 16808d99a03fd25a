import TensorKit

/// Measures a video against its reference as their frames come, in order.
///
///     var comparison = try VideoComparison([.psnr, .temporalError])
///     while let (reference, other) = try next() { try comparison.add(reference: reference, other: other) }
///     print(comparison.scores[.psnr]?.mean ?? "none")
///
/// The numbers are those of `psnr`, `ssim`, `LPIPS`, `temporalError` and `stillFlicker` of the whole videos.
/// A metric that cannot be had leaves the others alone: `gaps` says why.
///
/// Memory: about ten frames in float64 and what the networks take; of earlier frames it keeps numbers only.
public struct VideoComparison: Sendable {
    /// What is measured: each metric once, in the order of `Metric.allCases`.
    public let metrics: [Metric]
    /// How many frames have been compared.
    public private(set) var frameCount = 0

    private let networks: [Metric: LPIPS]
    private var similarity: StructuralSimilarity?
    private var changes = PairedChanges()
    /// (C, H, W) of every frame, and where numbers in float64 are computed.
    private var first: (shape: [Int], device: Device)?
    private var values: [Metric: [Double]] = [:]
    private var stillness = StillSums()
    private var failures: [Metric: MetricError] = [:]

    /// - Parameters:
    ///   - metrics: Any but `fvd`, which compares sets of clips.
    ///   - networks: Where the metrics' networks come from; comparisons that share it load each network once.
    /// - Throws: `WeightsError` where a network is missing, `MetricError.comparesSets`.
    public init(_ metrics: [Metric], networks: MetricNetworks = MetricNetworks()) throws {
        guard !metrics.contains(.fvd) else { throw MetricError.comparesSets }
        self.metrics = Metric.allCases.filter(metrics.contains)
        var loaded: [Metric: LPIPS] = [:]
        if metrics.contains(.lpips) { loaded[.lpips] = try networks.lpips(.alexnet) }
        if metrics.contains(.lpipsVGG) { loaded[.lpipsVGG] = try networks.lpips(.vgg16) }
        self.networks = loaded
    }

    /// Measures the next frames of both videos.
    ///
    /// Cost: that of the metrics' own functions; frames are converted to float64 once for all of them.
    /// - Parameters:
    ///   - reference: (N, C, H, W) of any real type, pixels in [-1, 1].
    ///   - other: The same shape; it may be on another device.
    /// - Returns: What was measured of each of the N frames. A change in time is the later frame's.
    ///   Flicker is the other video's own, where the reference is still. What has no number at a frame is left out.
    /// - Throws: `MetricError` for shapes that differ, from each other or from those of earlier frames;
    ///   `TensorError` from the engine, after which the comparison cannot go on.
    @discardableResult
    public mutating func add(reference: Tensor, other: Tensor) throws -> [[Metric: Double]] {
        try requireAlike(reference, other)
        let shape = Array(other.shape.dropFirst())
        let first = first ?? (shape, other.device)
        guard shape == first.shape else { throw MetricError.shapesDiffer([1] + first.shape, [1] + shape) }
        self.first = first
        return try (0..<other.size(0)).map { index in
            try addFrame(reference.rows(index..<index + 1), other.rows(index..<index + 1), on: first.device)
        }
    }

    private mutating func addFrame(_ reference: Tensor, _ other: Tensor, on device: Device) throws -> [Metric: Double] {
        let wanted = metrics.filter { failures[$0] == nil }
        // All but the networks take float64.
        let isExact = wanted.contains { $0.network == nil }
        let exact = try isExact ? [other, reference].map { try frame($0, 0, on: device) } : []
        let change: Result<PairedChanges.Change?, any Error> =
            wanted.contains(where: \.isOfChange)
            ? Result { try changes.next(frameCount, exact[0], exact[1]) } : .success(nil)
        var found: [Metric: Double] = [:]
        for metric in wanted {
            do {
                switch metric {
                case .psnr:
                    found[metric] = try psnr(ofFrame: frameCount, exact[0], exact[1])
                case .ssim:
                    let similarity = try similarity ?? StructuralSimilarity(device: device)
                    self.similarity = similarity
                    found[metric] = try similarity(ofFrame: frameCount, exact[0], exact[1])
                case .lpips, .lpipsVGG:
                    found[metric] = try networks[metric]?.distance(ofFrame: frameCount, other, reference)
                case .flicker:
                    guard let change = try change.get() else { continue }
                    let sums = try StillSums(of: change)
                    stillness += sums
                    found[metric] = sums.flicker?.video
                case .temporalError:
                    found[metric] = try change.get()?.error
                case .fvd:
                    break
                }
            } catch let error as MetricError {
                failures[metric] = error
            }
        }
        for (metric, value) in found { values[metric, default: []].append(value) }
        frameCount += 1
        return found
    }

    // MARK: What was found

    /// The numbers of each metric that could be had of all frames. Flicker is in `stillFlicker`.
    public var scores: [Metric: VideoScore] {
        values.filter { $0.key != .flicker && failures[$0.key] == nil }.mapValues(VideoScore.init)
    }

    /// The flicker of the whole video; nil where it was not asked for or cannot be had.
    public var stillFlicker: StillFlicker? { failures[.flicker] == nil ? stillness.flicker : nil }

    /// Why a metric cannot be had of the frames so far.
    public var gaps: [Metric: MetricError] {
        var gaps = failures
        for metric in metrics where metric.isOfChange && gaps[metric] == nil {
            if frameCount < 2 {
                gaps[metric] = .tooFewFrames(frameCount, least: 2)
            } else if metric == .flicker && stillFlicker == nil {
                gaps[metric] = .nothingStatic(threshold: StillFlicker.threshold)
            }
        }
        return gaps
    }
}

extension Metric {
    /// Whether it looks at the change from the frame before.
    fileprivate var isOfChange: Bool { self == .flicker || self == .temporalError }
}
