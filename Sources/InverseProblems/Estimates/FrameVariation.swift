import TensorKit

/// argmin over X of |Y - A X|^2 / (2 sigma^2) + weight |D X|_1, D the differences of neighbours in height and width: the frames of least
/// variation that a measurement with noise sigma allows. By the primal-dual iteration of Chambolle & Pock (2011, Algorithm 1), overrelaxed
/// (Condat 2013, Algorithm 3.2), which needs half as many,
///
///     X':  the proximal point of the measurement around X - t D'u
///     u':  u + s D (2 X' - X), clamped to +-1
///     X, u: moved by 1.8 times the way to X', u'
///
/// with s t |D|^2 = 1. The data step is the operator's own `proximal`: an operator with a closed form needs no inner iterations, and
/// the noise may be next to nothing. X' is the result. (`minimizeTotalVariation` is the field's baseline, with differences in time and conjugate gradients.)
///
/// Cost of an iteration: a proximal point and about ten passes over the video, frame by frame; memory of six videos beside Y.
/// - Parameters:
///   - measurement: Y, finite, and its noise sigma; 0 counts as float32's rounding.
///   - start: of the shape that A makes Y's shape from; where X begins.
///   - weight: above 0. 1 / b where differences are of the size b, in units of [-1, 1].
///   - iterations: 0 or more.
///   - step: t, above 0, in units of [-1, 1] times `weight`: it changes the way, not the least value of the objective.
///   - progress: is told how many iterations are done, and stops the work by throwing.
/// - Throws: `ProblemError` for arguments that do not fit or hold NaN, `TensorError` from the engine.
public func minimizeFrameVariation(
    _ measurement: VideoMeasurement, start: Tensor, weight: Double = 10, iterations: Int = 20, step: Double = 0.06,
    progress: (Int) throws -> Void = { _ in }
) throws -> Tensor {
    let (problem, Y, noise) = (measurement.operator, measurement.best, measurement.noise.atLeastRounding)
    for (what, value) in [("weight of the variation", weight), ("step", step)] {
        guard value > 0, value.isFinite else {
            throw ProblemError.invalidParameter("The \(what) is a number above 0, not \(value).")
        }
    }
    guard iterations >= 0 else {
        throw ProblemError.invalidParameter("The number of iterations is 0 or more, not \(iterations).")
    }
    let shape = measurement.videoShape
    guard start.shape == shape else {
        throw ProblemError.shapeMismatch(what: "start", shape: start.shape, expected: shape)
    }
    let relaxation = 1.8
    try problem.checkFinite(Y, start)
    // |D|^2 < 8.
    let (ratio, dualStep) = (step / (weight * noise * noise), 1 / (8 * step))
    let proximal = try ProximalMap(measurement, ratio: ratio)
    let neighbours = Neighbours.all(shape).filter { $0.axis != 0 }
    var u = try neighbours.map { try Tensor.zeros($0.shape(in: shape), dtype: start.dtype, device: start.device) }
    var (X, result) = (start, start)
    for iteration in 0..<iterations {
        var target = try X.copied()
        for (index, pairs) in neighbours.enumerated() { try pairs.addAdjoint(u[index], times: -step, to: &target) }
        let next = try proximal(target)
        result = next
        // 2 X - X_last.
        var ahead = try next * 2
        try ahead.add(X, times: -1)
        for (index, pairs) in neighbours.enumerated() {
            let dual = try u[index].adding(pairs.difference(ahead), times: dualStep).clamped(to: -1...1)
            try u[index].multiply(by: 1 - relaxation)
            try u[index].add(dual, times: relaxation)
        }
        try X.multiply(by: 1 - relaxation)
        try X.add(next, times: relaxation)
        try progress(iteration + 1)
    }
    return result
}
