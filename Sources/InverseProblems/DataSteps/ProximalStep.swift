import TensorKit

/// A data step that weighs the measurement by its noise: argmin |Y - A X|^2 / sigma_y^2 + |X - Xhat|^2 / s_t^2, as far towards the
/// measurement as that deserves. s_t = c sqrt((1 - abar) / abar), with the c that the measurement shows (`LinearOperator.proximal`).
public struct ProximalStep: DataStep {
    /// Bounds for c, above 0; the same value twice fixes it.
    public var error: ClosedRange<Double>
    /// Bits that the measurement was rounded to, where that leaves bands of which a blur's inverse would make waves: they are told and
    /// taken away before the first step. nil where rounding is noise like any other.
    public var roundedBits: Int?

    public init(error: ClosedRange<Double> = 0.4...2, roundedBits: Int? = nil) {
        self.error = error
        self.roundedBits = roundedBits
    }

    public var range: ClosedRange<Double>? { -1...1 }

    public func prepared(_ measurement: VideoMeasurement, start: () throws -> Tensor) throws -> VideoMeasurement {
        var prepared = measurement
        if let roundedBits { prepared.dequantized = try dequantize(measurement, bits: roundedBits, start: start()) }
        let norm = try measurement.frames.norm()
        guard norm.isFinite else { throw ProblemError.notFinite("measurement") }
        prepared.norm = norm
        // Once for nothing: what operators keep on a GPU is copied there now, before the first timestep, since copying waits.
        let frames = measurement.frames
        if frames.device != .cpu {
            _ = try apply(
                .zeros(measurement.videoShape, dtype: frames.dtype, device: frames.device), prepared, noiseToSignal: 1)
        }
        return prepared
    }

    /// - Throws: `ProblemError` where the estimate holds NaN, `TensorError` from the engine. With an operator that has a closed form, its numbers
    ///   are read once, at the end.
    public func apply(
        _ estimate: Tensor, _ measurement: VideoMeasurement, noiseToSignal unit: Double
    ) throws -> DataStepResult {
        let (solution, passed) = try measurement.operator.proximalUnread(
            measurement.best, around: estimate, noise: measurement.noise.atLeastRounding,
            error: error.lowerBound * unit...error.upperBound * unit, mask: measurement.known,
            norm: measurement.operatorNorm)
        let (before, after) = (
            try measurement.residualSquare(of: estimate), try measurement.residualSquare(of: solution)
        )
        // Who did not prepare has the measurement's norm to pay for.
        let whole = measurement.norm == nil ? [try measurement.frames.innerProduct(measurement.frames)] : []
        let numbers = try Tensor.numbers([before, after] + whole + (passed?.means ?? []))
        let norm = measurement.norm ?? numbers[2].squareRoot()
        guard norm.isFinite else { throw ProblemError.notFinite("measurement") }
        guard numbers[0].isFinite else { throw ProblemError.notFinite("start") }
        let scale = norm > 0 ? norm : 1
        return DataStepResult(
            frames: solution,
            residual: Residual(before: numbers[0].squareRoot() / scale, after: numbers[1].squareRoot() / scale),
            passedNoise: passed?.noise(Array(numbers.dropFirst(2 + whole.count)), pixels: estimate.count))
    }
}
