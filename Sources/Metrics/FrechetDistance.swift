import Foundation
import TensorKit

/// The Fréchet distance between two sets of clips' features, each taken as a normal distribution: 0 for equal sets.
///
/// It compares distributions, so it means little for few clips: those who compare models take thousands, and the same two models
/// get a larger distance from fewer clips. Say how many there were; compare only distances that rest on as many.
public struct FrechetDistance: Hashable, Sendable, Codable {
    public let value: Double
    /// Clips in the first set and in the second.
    public let clipCounts: [Int]
    /// Numbers that describe a clip.
    public let featureCount: Int

    /// Whether a set has no more clips than features, so that its covariance cannot be known in every direction.
    public var isWeak: Bool { clipCounts.contains { $0 <= featureCount } }
}

/// For example `231.40 (of 8 and 8 clips: too few for a reliable number)`.
extension FrechetDistance: CustomStringConvertible {
    public var description: String {
        let counts = "of \(clipCounts.map(String.init).joined(separator: " and ")) clips"
        return String(format: "%.2f", value) + " (\(counts)\(isWeak ? ": too few for a reliable number" : ""))"
    }
}

/// The Fréchet distance |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Dowson & Landau 1982) of two sets' means and covariances.
///
/// With the features minus their mean as the rows of X1 and X2, C = X' X / (n - 1), and the eigenvalues of C1 C2 are the squared singular
/// values of X1 X2' / sqrt((n1 - 1) (n2 - 1)): their sum is the last trace. That is exact for any number of clips, takes no root of a
/// matrix that has none, and never has an imaginary part to drop. In float64 on the CPU.
///
/// Cost: the singular values of a matrix as large as the clips or the features are many, whichever is less; 0.1 s for 400.
/// - Parameters:
///   - a: (n, D) of any real type, n at least 2: the features of one clip in each row.
///   - b: (m, D), m at least 2.
/// - Throws: `MetricError` for shapes that do not match, fewer clips and values that are not finite, `TensorError` from the engine.
public func frechetDistance(_ a: Tensor, _ b: Tensor) throws -> FrechetDistance {
    guard a.rank == 2, b.rank == 2, a.size(1) == b.size(1), a.size(1) > 0 else {
        throw MetricError.notFeatures(a.shape, b.shape)
    }
    let sets = try [a, b].map { features in
        guard features.size(0) >= 2 else { throw MetricError.tooFewClips(features.size(0), least: 2) }
        return try FeatureSet(features.to(.cpu).to(.float64))
    }
    let shift = try (sets[0].mean - sets[1].mean).squared().sum().item()
    let shared = try sets[0].factor.multiplied(by: sets[1].factor.transposed(0, 1)).singularValues().sum().item()
    let value = shift + sets[0].variance + sets[1].variance - 2 * shared
    guard value.isFinite else { throw MetricError.featuresNotFinite }
    // Rounding leaves equal sets a little below 0.
    return FrechetDistance(value: max(value, 0), clipCounts: [a.size(0), b.size(0)], featureCount: a.size(1))
}

/// The Fréchet video distance (Unterthiner et al. 2018) between two sets of clips.
/// - Parameters:
///   - a: Clips (N, 3, H, W) in [-1, 1], at least two, all of one length N of at least 9; their sizes in pixels may differ.
///   - b: More clips of that length, as many as one likes.
/// - Throws: as `I3D.features` and `frechetDistance` do, and `MetricError.lengthsDiffer`.
public func frechetVideoDistance(_ a: [Tensor], _ b: [Tensor], network: I3D) throws -> FrechetDistance {
    for clips in [a, b] where clips.count < 2 { throw MetricError.tooFewClips(clips.count, least: 2) }
    for clip in a + b { try requireVideo(clip) }
    let lengths = (a + b).map { $0.size(0) }
    if let other = lengths.first(where: { $0 != lengths[0] }) { throw MetricError.lengthsDiffer(lengths[0], other) }
    let features = try [a, b].map { clips in
        try Tensor.concatenate(clips.map { try network.features(of: $0) }, along: 0)
    }
    return try frechetDistance(features[0], features[1])
}

private struct FeatureSet {
    /// (1, D)
    let mean: Tensor
    /// F of at most D rows with F' F = C, the covariance.
    let factor: Tensor
    /// The trace of C.
    let variance: Double

    init(_ features: Tensor) throws {
        mean = try features.mean(along: [0], keepingDimensions: true)
        // NaN would keep the singular values from converging.
        guard try mean.sum().item().isFinite else { throw MetricError.featuresNotFinite }
        let (count, width) = (features.size(0), features.size(1))
        let rows = try (features - mean) / Double(count - 1).squareRoot()
        factor = count > width ? try rows.triangularFactor() : rows
        variance = try rows.squared().sum().item()
    }
}
