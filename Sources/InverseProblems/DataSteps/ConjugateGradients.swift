import TensorKit

/// What conjugate gradients did.
public struct ConjugateGradientsReport: Sendable, Equatable {
    /// Steps that led to the solution: fewer than asked for when the tolerance or the rounding level was reached.
    public var steps: Int
    /// |Y - A X| / |Y| of the start, or |Y - A X| for a measurement of zeros.
    public var residualBefore: Double
    /// The same of the solution.
    public var residualAfter: Double

    package init(steps: Int, residualBefore: Double, residualAfter: Double) {
        self.steps = steps
        self.residualBefore = residualBefore
        self.residualAfter = residualAfter
    }
}

/// Step 3 of Algorithm 1: argmin |Y - A X|^2 over start + K_l(A' A, A' (Y - A start)), l the number of steps.
///
/// The CGLS form (Björck 1996, 7.4): the residual is kept in the measurement's space, which squares no rounding error. Inner products run
/// over the whole batch of frames. The steps end early where A' (Y - A X) is down at the rounding level of float arithmetic (a mask is
/// solved by one step, and the next quotient would be 0/0) or at `tolerance`.
///
/// Cost: one `apply` and one `adjoint` a step, one of each more at the start; memory of about six videos beside the arguments. Each step waits
/// for the device twice, and the start once: the quotients of the inner products are the method.
/// - Parameters:
///   - measurement: Y, float32 or float64, finite.
///   - start: the first X, of the shape that `operator` makes Y's shape from, and of Y's type.
///   - iterations: l, 0 or more.
///   - tolerance: relative: stops where |A' (Y - A X)| <= tolerance (|Y| + |Y - A start|). Never below the type's rounding level.
/// - Throws: `ProblemError` for arguments that do not fit or hold NaN, `TensorError` from the engine.
public func conjugateGradients(
    _ problem: any LinearOperator, measurement: Tensor, start: Tensor, iterations: Int = 10, tolerance: Double = 0
) throws -> (solution: Tensor, report: ConjugateGradientsReport) {
    try conjugateGradients(
        problem, symmetrizer: nil, measurement: measurement, start: start, iterations: iterations, tolerance: tolerance)
}

/// The same, or with an operator B for which B A is symmetric and positive semidefinite on B A x = B y. There |Y - A X| may rise: the X with
/// the least of it is the solution.
package func conjugateGradients(
    _ problem: any LinearOperator, symmetrizer B: (any LinearOperator)?, measurement: Tensor, start: Tensor,
    iterations: Int,
    tolerance: Double
) throws -> (solution: Tensor, report: ConjugateGradientsReport) {
    try check(problem, measurement, start, iterations, tolerance)
    // s = Y - A X, r = A' s (or B s), p the direction of the next step.
    var x = start
    var s = try measurement - problem.apply(x)
    var r = try B?.apply(s) ?? problem.adjoint(s)
    let squares = try Tensor.numbers([
        measurement.innerProduct(measurement), s.innerProduct(s), r.innerProduct(r),
    ])
    let (measured, residual) = (squares[0].squareRoot(), squares[1].squareRoot())
    guard measured.isFinite else { throw ProblemError.notFinite("measurement") }
    guard residual.isFinite else { throw ProblemError.notFinite("start") }

    let smallest = max(tolerance, measurement.dtype == .float64 ? 0x1p-52 : 0x1p-23) * (measured + residual)
    var p = r
    var rr = squares[2]
    var steps = 0
    var best = (x: x, residual: residual, steps: 0)
    while steps < iterations, rr.squareRoot() > smallest {
        let q = try problem.apply(p)
        // The curvature along p: |A p|^2, or p' B A p.
        let image = try B?.apply(q)
        let curvature = try image.map { try p.dot($0) } ?? q.dot(q)
        // Nothing that A sees is left in p, or (with a B that does not quite make A symmetric) p leads uphill.
        guard curvature > 0, (rr / curvature).isFinite else { break }
        let step = rr / curvature
        x = try x.adding(p, times: step)
        s = try s.adding(q, times: -step)
        r = try image.map { try r.adding($0, times: -step) } ?? problem.adjoint(s)
        let numbers = try Tensor.numbers([r.innerProduct(r), s.innerProduct(s)])
        let next = numbers[0]
        p = try r.adding(p, times: next / rr)
        rr = next
        steps += 1
        // Without B it falls in every step but for rounding.
        let distance = numbers[1].squareRoot()
        if distance <= best.residual { best = (x, distance, steps) }
        if distance > 2 * best.residual { break }
    }
    let scale = measured > 0 ? measured : 1
    return (
        best.x,
        ConjugateGradientsReport(
            steps: best.steps, residualBefore: residual / scale, residualAfter: best.residual / scale)
    )
}

private func check(
    _ problem: any LinearOperator, _ measurement: Tensor, _ start: Tensor, _ iterations: Int, _ tolerance: Double
) throws(ProblemError) {
    let shape = try problem.inputShape(for: measurement.shape)
    guard start.shape == shape else { throw .shapeMismatch(what: "start", shape: start.shape, expected: shape) }
    guard [.float32, .float64].contains(measurement.dtype), start.dtype == measurement.dtype else {
        throw .invalidParameter(
            "Conjugate gradients need the measurement and the start both as float32 or float64, not \(measurement.dtype.rawValue) and "
                + "\(start.dtype.rawValue); convert them first.")
    }
    guard iterations >= 0 else { throw .invalidParameter("The number of steps is 0 or more, not \(iterations).") }
    guard tolerance >= 0 else { throw .invalidParameter("The tolerance is a number from 0 on, not \(tolerance).") }
}
