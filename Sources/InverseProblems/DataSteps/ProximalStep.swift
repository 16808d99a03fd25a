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
        guard let roundedBits else { return measurement }
        var prepared = measurement
        prepared.dequantized = try dequantize(measurement, bits: roundedBits, start: start())
        return prepared
    }

    public func apply(
        _ estimate: Tensor, _ measurement: VideoMeasurement, noiseToSignal unit: Double
    ) throws -> DataStepResult {
        let (solution, passed) = try measurement.operator.solveProximal(
            measurement.best, around: estimate, noise: measurement.noise.atLeastRounding,
            error: error.lowerBound * unit...error.upperBound * unit)
        let residual = Residual(
            before: try measurement.residual(of: estimate), after: try measurement.residual(of: solution))
        return DataStepResult(frames: solution, residual: residual, passedNoise: passed)
    }
}
