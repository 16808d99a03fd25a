import InverseProblems
import TensorKit

/// The numbers of ADMM for total variation; the defaults are those of VISION-XL's comparison (Kwon & Ye 2025, Eq. 9).
public struct TotalVariationOptions: Sendable, Equatable, Codable {
    /// lambda: the weight of |D X|_1 beside 1/2 |Y - A X|^2, pixels in [-1, 1]; 0 or more.
    public var weight = 1e-3
    /// rho: ADMM's penalty, above 0. It changes the way, not where it leads.
    public var penalty = 1.0
    /// Outer iterations, 1 or more.
    public var iterations = 30
    /// Conjugate-gradient steps of each, 1 or more.
    public var innerSteps = 20

    public init() {}

    /// - Throws: `ProblemError.invalidParameter` for a number outside its range.
    public func validate() throws(ProblemError) {
        guard weight >= 0, weight.isFinite else {
            throw .invalidParameter("The weight of the total variation is 0 or more, not \(weight).")
        }
        guard penalty > 0, penalty.isFinite else {
            throw .invalidParameter("ADMM's penalty is a number above 0, not \(penalty).")
        }
        guard iterations >= 1, innerSteps >= 1 else {
            throw .invalidParameter(
                "ADMM needs at least one outer iteration and one inner step, not \(iterations) and \(innerSteps).")
        }
    }
}

/// What ADMM did.
public struct TotalVariationReport: Sendable, Equatable {
    /// 1/2 |Y - A X|^2 + lambda |D X|_1 of X = 0 and of X after each outer iteration.
    public var objectives: [Double]
    /// |Y - A X| / |Y| of the same.
    public var residuals: [Double]
}

/// |D X|_1, D the differences of neighbours in time, height and width of a video (N, C, H, W): anisotropic total variation. Summed in
/// float64 over frames. Cost: three passes, memory of about two frames.
public func totalVariation(_ video: Tensor) throws -> Double {
    try requireVideo(video.shape)
    return try total(Neighbours.all(video.shape).map { try $0.difference(video).absolute().sum() })
}

/// argmin over X of 1/2 |Y - A X|^2 + lambda |D X|_1 by ADMM (Boyd et al. 2011, section 6.4; Kwon & Ye 2025, Eq. 9), D the differences of
/// neighbours in time, height and width.
///
/// From X = 0, each outer iteration has
///
///     X:  (A'A + rho D'D) X = A'Y + rho D'(z - u)   conjugate gradients from the last X
///     z:  D X + u, shrunk towards zero by lambda / rho
///     u:  u + D X - z
///
/// z is never stored: u is D X + u clamped to +-lambda/rho, and z - u = (D X + u) - 2 u is used where it arises. Differences are taken
/// frame by frame, so that what they need stays in the cache.
///
/// The objective of X falls steeply at first and settles; ADMM does not promise that every iteration lowers it.
///
/// Cost: `iterations` times `innerSteps` + 1 `apply` and as many `adjoint`; memory of seven videos beside Y and what A needs. At
/// 25x3x768x1280 float32 with the operator of sr4+: 29 processor seconds (AVX512) an outer iteration, 3.2 GB in all.
/// - Parameters:
///   - measurement: Y, float32 or float64, finite.
///   - progress: called after each inner step with the numbers of the outer iteration and the step, both from 0, and what is known so
///     far, and once more after each outer iteration, with `innerSteps` as the step; what it throws ends the work.
/// - Throws: `ProblemError` for arguments that do not fit or hold NaN, `TensorError` from the engine.
public func minimizeTotalVariation(
    _ problem: any LinearOperator, measurement Y: Tensor, options: TotalVariationOptions = TotalVariationOptions(),
    progress: (_ iteration: Int, _ step: Int, TotalVariationReport) throws -> Void = { _, _, _ in }
) throws -> (solution: Tensor, report: TotalVariationReport) {
    try options.validate()
    let shape = try problem.inputShape(for: Y.shape)
    guard [.float32, .float64].contains(Y.dtype) else {
        throw ProblemError.invalidParameter(
            "Total variation needs a measurement of float32 or float64, not \(Y.dtype.rawValue); convert it first.")
    }
    let measured = try Y.norm()
    guard measured.isFinite else { throw ProblemError.notFinite("measurement") }

    let (lambda, rho) = (options.weight, options.penalty)
    let neighbours = Neighbours.all(shape)
    var X = try Tensor.zeros(shape, dtype: Y.dtype, device: Y.device)
    var u = try neighbours.map { try Tensor.zeros($0.shape(in: shape), dtype: Y.dtype, device: Y.device) }
    // r = A'(Y - A X) + rho D'(z - u - D X), the residual of the X-update's system.
    var r = try problem.adjoint(Y).contiguous()
    let smallest = try (Y.dtype == .float64 ? 0x1p-52 : 0x1p-23) * r.norm()
    var report = TotalVariationReport(objectives: [measured * measured / 2], residuals: [measured > 0 ? 1 : 0])

    for iteration in 0..<options.iterations {
        var p = r
        var rr = try r.dot(r)
        for step in 0..<options.innerSteps {
            if rr.squareRoot() <= smallest { break }
            var q = try problem.adjoint(problem.apply(p)).contiguous()
            for pairs in neighbours { try pairs.addAdjoint(pairs.difference(p), times: rho, to: &q) }
            let length = try rr / p.dot(q)
            guard length.isFinite else { break }
            try X.add(p, times: length)
            try r.add(q, times: -length)
            let next = try r.dot(r)
            try p.multiply(by: next / rr)
            try p.add(r)
            rr = next
            try progress(iteration, step, report)
        }

        let rest = try Y - problem.apply(X)
        r = try problem.adjoint(rest).contiguous()
        var variation: [Tensor] = []
        for (index, pairs) in neighbours.enumerated() {
            let d = try pairs.difference(X)
            variation.append(try d.absolute().sum())
            // (z - u) - D X = (D X + u - 2 u') - D X.
            let clamped = try d.adding(u[index]).clamped(to: -lambda / rho...lambda / rho)
            try pairs.addAdjoint(u[index].adding(clamped, times: -2), times: rho, to: &r)
            u[index] = clamped
        }
        let distance = try rest.norm()
        report.objectives.append(try distance * distance / 2 + lambda * total(variation))
        report.residuals.append(measured > 0 ? distance / measured : distance)
        try progress(iteration, options.innerSteps, report)
    }
    return (X, report)
}

/// The sum of numbers that lie on a device. Waits for it once.
private func total(_ numbers: [Tensor]) throws -> Double {
    numbers.isEmpty ? 0 : try Tensor.stack(numbers).to(.cpu).to(.float64).sum().item()
}
