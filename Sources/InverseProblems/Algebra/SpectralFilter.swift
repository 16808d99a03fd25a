import TensorKit

/// Wiener's filter for errors that are found in the measurement. Components x = U' (Y - A X0) consist of s V' e, e the error of X0, and of
/// the noise: where neighbouring ones have the mean square p, e's is tau^2 = (p - sigma^2) / mean s^2, and s tau^2 / (s^2 tau^2 + sigma^2)
/// is the weight that leaves the least error.
///
/// Where s is so small that no error within the bounds would show, p is the noise: where it exceeds sigma^2 it replaces it, frame by frame
/// (bits rounded away in a still scene are the same for all frames, so that all of their noise is in the frames' mean).
struct MeasuredError {
    /// sigma^2.
    var noise: Double
    /// Bounds of tau.
    var bounds: ClosedRange<Double>
    /// 0 and 1 where components are pixels of which some are missing, as `SeparatedForm.mask`; nil for all.
    var mask: Tensor?

    /// Components of a block: 20 x 20 in each of three channels.
    private static let blockSize = 1200.0
    /// What p must exceed sigma^2 by, as a part of it: p is a mean of 1200 squares, with a standard error of 4 %.
    private static let margin = 0.05

    /// Of a block, where so many channels speak for each other.
    static func side(channels: Int) -> Int { Int((blockSize / Double(channels)).squareRoot()) }

    /// The same for some of the frames.
    func rows(_ range: Range<Int>) throws(TensorError) -> MeasuredError {
        var part = self
        part.mask = try mask.map { mask throws(TensorError) in try maskRows(mask, range) }
        return part
    }

    /// Singular values up to this are blind: no error within the bounds shows a tenth of the noise there.
    var blind: Double { (Self.blindShare * noise).squareRoot() / bounds.upperBound }
    private static let blindShare = 0.01

    /// Blind components that were left out.
    struct Rest {
        /// The sum of their squares in a channel, the mean of all channels, (n, 1, 1, 1).
        var energy: Tensor
        /// Of a channel.
        var count: Int
    }

    /// The weights and, as far as it is believed, the noise's variance.
    /// - Parameter rest: of what belongs to x and is not in it.
    func weights(_ s: Tensor, of x: Tensor, rest: Rest? = nil) throws(TensorError) -> (Tensor, noise: Tensor) {
        let (height, width) = (x.size(2), x.size(3))
        // Where channels have singular values of their own, none can speak for another.
        let isApart = s.rank > 2
        let side = Self.side(channels: isApart ? 1 : x.size(1))
        func inBlocks(_ x: Tensor) throws(TensorError) -> Tensor {
            try x.averagePooled(toHeight: max(1, height / side), width: max(1, width / side))
        }
        func spread(_ blocks: Tensor) throws(TensorError) -> Tensor {
            try blocks.upsampledNearest(height: height, width: width)
        }
        let squares = try x.squared()
        var power = try inBlocks(isApart ? squares : squares.mean(along: [1], keepingDimensions: true))
        if let mask {
            // Fewer components than one in a thousand are none.
            power = try power / inBlocks(mask.reshaped([-1, 1, height, width])).clamped(to: 0.001...1)
        }
        power = try spread(power)

        let square = try (s.squared() + Tensor.zeros([1, 1, height, width], dtype: x.dtype, device: x.device)).clamped(
            to: 1e-30...1e30)
        let isBlind = try (square * -1).isGreater(than: -blind * blind).to(x.dtype)
        var count = try isBlind.sum(along: [2, 3], keepingDimensions: true)
        var energy = try (power * isBlind).sum(along: [2, 3], keepingDimensions: true)
        if let rest {
            count = try count + Double(rest.count)
            energy = try energy + rest.energy
        }
        let noise = try (energy / count.clamped(to: 1...1e30)).clamped(to: noise...1e30)

        let error = try ((power - noise * (1 + Self.margin)) / spread(inBlocks(square)))
            .clamped(to: bounds.lowerBound * bounds.lowerBound...bounds.upperBound * bounds.upperBound)
        return (try error * s / (error * square + noise), noise)
    }
}

/// What becomes of a component with the singular value s on its way back to the video.
struct SpectralFilter {
    /// From where to where it leads, and by which weights.
    enum Kind {
        /// From a measurement to a video, by the weights above.
        case gain
        /// From a video to a video, 1 / (1 + r s^2): what is left of a video that is held to nothing.
        case rest
        /// From a video to a video, r s^2 / (1 + r s^2): the part that the measurement decides about.
        case share
        /// The same from a measurement to a measurement.
        case measuredShare

        var takesVideo: Bool { self == .rest || self == .share }
        var makesVideo: Bool { self != .measuredShare }

        /// The singular vectors that take a picture apart, and those that put one together.
        func sides(_ parts: AxisMatrix.Decomposition) -> (from: Tensor, to: Tensor) {
            (takesVideo ? parts.right : parts.left, makesVideo ? parts.right : parts.left)
        }
    }

    /// r: the filter is r s / (1 + r s^2). Infinite: 1 / s, and 0 where s does not exceed `threshold`.
    var ratio: Double
    var threshold = 0.0
    var kind = Kind.gain
    /// Components whose singular value is no larger may be left out.
    var smallest = 0.0
    /// Finds r for every block of components from the components themselves; `ratio` and `threshold` then say nothing.
    var measured: MeasuredError?
    /// Told what becomes of noise.
    var passedNoise: PassedNoise?

    /// The same for some of the frames, where each has a mask of its own.
    func rows(_ range: Range<Int>) throws(TensorError) -> SpectralFilter {
        var part = self
        part.measured = try measured.map { measured throws(TensorError) in try measured.rows(range) }
        part.frames = range
        return part
    }
    /// Those frames; nil where all have the same mask.
    var frames: Range<Int>?

    /// The weights for the components x, (n, C, h, w), of singular values s that go with (h, w) or (C, h, w).
    /// - Parameter rest: of what belongs to x and is not in it.
    func callAsFunction(
        _ s: Tensor, of x: Tensor, rest: MeasuredError.Rest? = nil
    ) throws(TensorError) -> Tensor {
        guard let measured else {
            let weights = try fixed(s)
            try passedNoise?.add(weights, of: frames, times: x.count)
            return weights
        }
        let (weights, noise) = try measured.weights(s, of: x, rest: rest)
        try passedNoise?.add(weights, noise: noise, of: frames, times: x.count)
        return weights
    }

    /// The weights that do not ask for components.
    func fixed(_ s: Tensor) throws(TensorError) -> Tensor {
        let one = try Tensor.ones([], dtype: s.dtype, device: s.device)
        if ratio == .infinity {
            return try (one / s).selected(
                where: s.isGreater(than: threshold), otherwise: .zeros([], dtype: s.dtype, device: s.device))
        }
        let scaled = try s * ratio
        let total = try scaled * s + 1
        switch kind {
        case .gain: return try scaled / total
        case .rest: return try one / total
        case .share, .measuredShare: return try scaled * s / total
        }
    }
}

/// What becomes of a measurement's noise on its way back to the video.
final class PassedNoise {
    /// sigma^2 where no components say otherwise.
    let variance: Double
    /// 0 and 1 where components are pixels of which some are missing, as `SeparatedForm.mask`; nil for all.
    let mask: Tensor?
    /// Sums over the components are these means, which are still on the device, times these factors.
    private(set) var means: [Tensor] = []
    private var factors: [(variance: Double, count: Int)] = []

    init(variance: Double, mask: Tensor? = nil) { (self.variance, self.mask) = (variance, mask) }

    /// Counts components that are all multiplied by one of the weights, each as often as another: the singular vectors are orthonormal.
    /// - Parameters:
    ///   - noise: of the components; nil for `variance`.
    ///   - frames: which ones they are of, where frames have masks of their own.
    ///   - count: how many components there are.
    func add(
        _ weights: Tensor, noise: Tensor? = nil, of frames: Range<Int>? = nil, times count: Int
    ) throws(TensorError) {
        var energies = try weights.squared()
        if let noise { energies = try energies * noise }
        if var mask {
            if let frames { mask = try maskRows(mask, frames) }
            energies = try energies * mask.to(energies.dtype)
        }
        means.append(try energies.mean())
        factors.append((noise == nil ? variance : 1, count))
    }

    /// The expected sum of squares over the video.
    /// - Parameter means: `means`, read.
    func energy(_ means: [Double]) -> Double {
        zip(means, factors).reduce(0) { $0 + $1.0 * $1.1.variance * Double($1.1.count) }
    }
}

/// A mask of some frames, as `SeparatedForm` has masks.
func maskRows(_ mask: Tensor, _ range: Range<Int>) throws(TensorError) -> Tensor {
    mask.rank > 2 ? try mask.rows(range) : mask
}
