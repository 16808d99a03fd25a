import InverseProblems
import TensorKit

/// How strongly pixels that stand still are averaged over time before each data step and after the last one. 0 averages nothing: the paper.
public struct Steadying: Sendable, Equatable {
    /// 0 or more. h is this times sqrt((0.02 n_t)^2 + max(sigma_y / 2, nu)^2), n_t = sqrt((1 - abar) / abar), sigma_y the measurement's noise
    /// and nu what the data step before let through of it, at most 0.025; for the result sqrt(0.004^2 + nu^2) times this.
    public var strength: Double

    public init(strength: Double) { self.strength = strength }

    /// What averages more noise than this takes what moves for noise: without a bound `inpaint+` of a landscape at noise 0.05 loses 2.1 dB.
    private static let mostPassedNoise = 0.025
    /// The prior's whim, as a part of the noise that it was to remove.
    private static let ofPrior = 0.02
    /// What a network that enlarges makes of the same detail in another frame differs by so much, times the factor.
    private static let ofEstimate = 0.0125
    /// A step of 8 bits: what a still pixel of any film changes by.
    private static let ofStill = 0.008
    /// Half a step of 8 bits, so that nothing is averaged in a result that could be seen to differ.
    private static let ofResult = 0.004

    func apply(_ X: Tensor, measurementNoise: Double, passedNoise: Double, noiseToSignal: Double) throws -> Tensor {
        let ofMeasurement = max(measurementNoise / 2, min(passedNoise, Self.mostPassedNoise))
        let ofPrior = Self.ofPrior * noiseToSignal
        return try filtered(X, (ofPrior * ofPrior + ofMeasurement * ofMeasurement).squareRoot())
    }

    /// A learned first estimate, or frames that were brought along, each of which was made alone. What stands still all the time shall be the same
    /// all the time: an average of seven frames follows a network's whims.
    /// - Parameter factor: by which frames were enlarged, 1 for not at all.
    func applyToEstimate(_ X: Tensor, factor: Int) throws -> Tensor {
        try filtered(X, Self.ofEstimate * Double(min(factor, 4)), reach: SteadyingFilter.furthest)
    }

    /// White noise of a known strength, before a network takes away what is left of it.
    func applyToMeasurement(_ Y: Tensor, noise: Double) throws -> Tensor { try filtered(Y, noise) }

    /// A measurement that is hardly noisy, before a network makes more of its last steps than they are.
    func applyToStill(_ Y: Tensor) throws -> Tensor {
        try filtered(Y, Self.ofStill, reach: SteadyingFilter.furthest)
    }

    /// Undoing a blur of one frame differs a little from undoing that of the next.
    func applyToResult(_ X: Tensor, passedNoise: Double) throws -> Tensor {
        let noise = min(passedNoise, Self.mostPassedNoise)
        return try filtered(X, (Self.ofResult * Self.ofResult + noise * noise).squareRoot())
    }

    private func filtered(_ X: Tensor, _ flicker: Double, reach: Int = SteadyingFilter.usualReach) throws -> Tensor {
        // Below float32's rounding there is nothing to average, and h^2 would vanish.
        let h = strength * flicker
        return h > 1e-7 ? try SteadyingFilter(strength: h, reach: reach).apply(X) : X
    }
}

/// Averages each pixel over time where a video stands still: what flickers there is the measurement's noise and the prior's whim.
///
/// A frame's neighbours up to `reach` away take part with the weight exp(-max(D - 2 h^2, 0) / h^2), D their mean squared difference around the
/// pixel: non-local means along time (Buades, Coll & Morel 2005, section 5), with the weights of BM3D's kind for two noisy frames. Where anything
/// moves by more than a few h, the weights are 0 and nothing happens.
struct SteadyingFilter {
    /// h: by how much a still pixel is thought to flicker, in units of [-1, 1]. Above 0.
    var strength: Double
    /// Frames before and after that take part.
    var reach = usualReach

    static let usualReach = 3
    /// All of a usual window.
    static let furthest = 24

    /// About 7x7 pixels; what all filters have in common, so that its matrices are copied to a GPU once.
    private static let neighbourhood = Result { try GaussianBlur.lowPass(sigma: 2) }

    /// Makes what the filter keeps on a GPU, where copying waits.
    static func prepare(for shape: [Int], _ dtype: DType, _ device: Device) throws {
        try neighbourhood.get().prepare(for: shape, dtype, device)
    }

    /// - Parameter X: (N, C, H, W), float32.
    /// - Returns: the same shape. Cost: `reach` N passes over a frame's pixels; memory for one more video, on a GPU for three.
    func apply(_ X: Tensor) throws -> Tensor {
        let count = X.size(0)
        guard count > 1 else { return X }
        let neighbourhood = try Self.neighbourhood.get()
        let variance = strength * strength
        // A frame's numbers stay in a CPU's cache; a GPU would wait for the launches.
        let together = X.device == .cpu ? 1 : count
        var sums = try X.copied()
        var weights = try Tensor.ones([count, 1, X.size(2), X.size(3)], dtype: X.dtype, device: X.device)
        for distance in 1...reach where distance < count {
            for first in stride(from: 0, to: count - distance, by: together) {
                let end = min(first + together, count - distance)
                let (earlier, later) = (try X.rows(first..<end), try X.rows(first + distance..<end + distance))
                let difference = try (later - earlier).squared().mean(along: [1], keepingDimensions: true)
                let excess = try (neighbourhood.apply(difference) - 2 * variance).clamped(
                    to: 0...Double.greatestFiniteMagnitude)
                let weight = try (excess / -variance).exponential()
                // The later frames first: each of them has had its earlier neighbours before it takes later ones.
                for (place, neighbour) in [(first + distance, earlier), (first, later)] {
                    try sums.add(neighbour, times: weight, at: [place, 0, 0, 0])
                    try weights.add(weight, at: [place, 0, 0, 0])
                }
            }
        }
        return try sums / weights
    }
}
