import TensorKit

/// The proximal point of one measurement for one ratio, around start after start (`LinearOperator.proximal`): what an iteration calls.
///
/// In closed form it is X0 + V w U'Y - V m V' X0 with w = r s / (1 + r s^2) and m = s w, of which the middle is the same every time, and m is
/// next to nothing for most of what a blur mixes: components whose m does not exceed 0.001 keep the start's. That takes a fifth of the
/// time of `proximal` for a blur of 3 pixels and a measurement of 8 bits.
package struct ProximalMap {
    private let measurement: VideoMeasurement
    private let ratio: Double
    private var closed: Closed?

    private struct Closed {
        let form: SeparatedForm
        let filter: SpectralFilter
        /// V w U'Y.
        let constant: Tensor
    }

    /// - Parameters:
    ///   - measurement: Y, finite, and its operator.
    ///   - ratio: above 0.
    package init(_ measurement: VideoMeasurement, ratio: Double) throws {
        (self.measurement, self.ratio) = (measurement, ratio)
        // Only dense products are worth it.
        guard let form = try measurement.operator.separated(for: measurement.videoShape), form.isExact,
            !form.keepsPixelsInBlocks
        else { return }
        let Y = measurement.best
        let zero = try Tensor.zeros(measurement.videoShape, dtype: Y.dtype, device: Y.device)
        closed = Closed(
            form: form,
            filter: SpectralFilter(ratio: ratio, kind: .share, smallest: SpectralFilter.smallest(ratio: ratio)),
            constant: try measurement.proximal(Y, around: zero, ratio: ratio))
    }

    /// - Parameter start: finite, of Y's type.
    package func callAsFunction(_ start: Tensor) throws -> Tensor {
        guard let closed else { return try measurement.proximal(measurement.best, around: start, ratio: ratio) }
        var result = try start + closed.constant
        try closed.form.add(
            closed.filter, of: { try start.rows($0) }, count: start.size(0), times: -1, to: &result)
        return result
    }
}

extension SpectralFilter {
    /// Singular values up to this have a share r s^2 / (1 + r s^2) of at most 0.001.
    static func smallest(ratio: Double) -> Double { (1e-3 / ratio).squareRoot() }
}

/// A X of the proximal points X of one measurement after the other around the same start for the same ratio: A X0 + U m U' (Y - A X0),
/// m = r s^2 / (1 + r s^2).
struct FittedMeasurement {
    private let measurement: VideoMeasurement
    private let start: Tensor
    private let ratio: Double
    private var closed: (form: SeparatedForm, filter: SpectralFilter, ofStart: Tensor)?

    /// - Parameter start: finite, of Y's type.
    init(_ measurement: VideoMeasurement, around start: Tensor, ratio: Double) throws {
        (self.measurement, self.start, self.ratio) = (measurement, start, ratio)
        guard start.shape == measurement.videoShape else {
            throw ProblemError.shapeMismatch(what: "start", shape: start.shape, expected: measurement.videoShape)
        }
        guard let form = try measurement.operator.separated(for: start.shape), form.isExact, !form.keepsPixelsInBlocks
        else { return }
        let filter = SpectralFilter(
            ratio: ratio, kind: .measuredShare, smallest: SpectralFilter.smallest(ratio: ratio))
        closed = (form, filter, try measurement.operator.apply(start))
    }

    /// - Parameter frames: of the measurement's shape and type, finite.
    func callAsFunction(_ frames: Tensor) throws -> Tensor {
        guard let closed else {
            return try measurement.operator.apply(measurement.proximal(frames, around: start, ratio: ratio))
        }
        let rest = try frames - closed.ofStart
        var result = closed.ofStart
        try closed.form.add(closed.filter, of: { try rest.rows($0) }, count: rest.size(0), to: &result)
        return result
    }
}

extension VideoMeasurement {
    /// The proximal point of some frames of the measurement's shape, with few iterations where there is no closed form.
    fileprivate func proximal(_ frames: Tensor, around start: Tensor, ratio: Double) throws -> Tensor {
        try `operator`.proximalUnchecked(
            frames, around: start, ratio: ratio, iterations: 20, mask: known, norm: operatorNorm)
    }
}
