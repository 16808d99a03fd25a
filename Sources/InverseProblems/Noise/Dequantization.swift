import TensorKit

/// A measurement with what can be told of its rounding taken away.
///
/// Rounding is white noise only where neighbouring values differ by a step or more. Where a measurement is smooth it leaves bands, whose
/// errors lie at frequencies that a blur lets through, and undoing the blur makes waves of them. But there the measurement can be guessed to
/// far less than a step, and rounding the guess makes the same error once more:
///
///     X:   the proximal point of Y' around the start, its noise taken for twice sigma so that A X does not follow the bands
///     e:   round(A X) - A X
///     Y':  Y - rho e,  rho = <Y - A X, e> / <e, e> over the neighbourhood, between 0 and 1
///
/// so that rho, which takes e for a control variate, is 1 where the errors agree and 0 where they have nothing to do with each other.
/// Neighbourhoods have Gaussian weights of 16 pixels' standard deviation; frames and colours each go alone.
///
/// Cost of an iteration: a proximal point (in closed form, or 20 steps without one), an `apply` and two blurs; memory of two videos
/// and two measurements beside the arguments.
/// - Parameters:
///   - measurement: Y, finite, in [-1, 1], and its noise sigma with the rounding, above 0.
///   - bits: that Y was rounded to, as `NoiseLevel.bits(of:)` finds them, 1 to 16.
///   - start: of the shape that A makes Y's shape from.
///   - error: of the start, above 0, in units of [-1, 1].
///   - iterations: 0 or more. One finds most, two the rest.
/// - Returns: Y', nowhere further from Y than half a step.
/// - Throws: `ProblemError` for arguments that do not fit or hold NaN, `TensorError` from the engine.
public func dequantize(
    _ measurement: VideoMeasurement, bits: Int, start: Tensor, error: Double = 0.1, iterations: Int = 2
) throws -> Tensor {
    let (problem, Y, noise) = (measurement.operator, measurement.frames, measurement.noise.sigma)
    guard (1...16).contains(bits) else {
        throw ProblemError.invalidParameter("A measurement has 1 to 16 bits, not \(bits).")
    }
    for (what, value) in [("noise", noise), ("start's error", error)] {
        guard value > 0, value.isFinite else {
            throw ProblemError.invalidParameter("The \(what) is a number above 0, not \(value).")
        }
    }
    guard iterations >= 0 else {
        throw ProblemError.invalidParameter("The number of iterations is 0 or more, not \(iterations).")
    }
    try problem.checkFinite(Y, start)
    let neighbourhood = try GaussianBlur.lowPass(sigma: 16)
    let mask = measurement.known
    let roundingNoise = NoiseLevel.rounding(toBits: bits)
    let ratio = (error / (2 * noise)) * (error / (2 * noise))
    let fitted = try FittedMeasurement(measurement, around: start, ratio: ratio)
    var result = Y
    for _ in 0..<iterations {
        let made = try fitted(result)
        result = try Y.copied()
        for frame in 0..<Y.size(0) {
            let (measured, guess) = (
                try Y.rows(frame..<frame + 1), try made.rows(frame..<frame + 1).clamped(to: -1...1)
            )
            var again = try guess.rounded(toBits: bits) - guess
            if let mask { try again.multiply(by: maskRows(mask, frame..<frame + 1)) }
            // A thousandth of the rounding's variance: where all is exact there is nothing to divide.
            let power = try neighbourhood.apply(again.squared()) + 1e-3 * roundingNoise * roundingNoise
            let agreement = try (neighbourhood.apply((measured - guess) * again) / power).clamped(to: 0...1)
            try result.add(agreement * again, times: -1, at: [frame, 0, 0, 0])
        }
    }
    return result
}
