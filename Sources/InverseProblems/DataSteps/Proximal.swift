import Synchronization
import TensorKit

/// What `solveProximal` did.
public struct ProximalReport: Sendable, Equatable {
    /// Whether the solution was written down rather than iterated to.
    public var usedClosedForm: Bool
    /// Steps of conjugate gradients; 0 with a closed form.
    public var steps: Int
    /// |start + ratio A'Y - (I + ratio A'A) X| / |X - start|, the left side of the normal equation less the right: the relative error of
    /// X - start is no larger. 0 with a closed form, which is as good as float arithmetic.
    public var residual: Double
    /// Whether the residual came down to 1e-6 (float64: 1e-12), or to where rounding errors are all that it consists of.
    public var converged: Bool
}

extension LinearOperator {
    /// The proximal point of the measurement: argmin over X of ratio |Y - A X|^2 + |X - start|^2, that is (I + ratio A'A) X = start +
    /// ratio A'Y. With the noise sigma_y of the measurement and an error s_t of the start it is the most probable X, for the ratio
    /// s_t^2 / sigma_y^2: the data step of plug-and-play restoration (DPIR, Zhang et al. 2021; DiffPIR, Zhu et al. 2023). From ratio 0, which
    /// gives the start, it moves to the nearest of the measurement's solutions at infinity.
    ///
    /// In closed form where the operator is `separated` (with a mask only if it mixes no pixels): with A = U diag(s) V',
    ///
    ///     X = start + V diag(ratio s / (1 + ratio s^2)) U' (Y - A start).
    ///
    /// No weight exceeds sqrt(ratio) / 2, so that float32 suffices. (A' U diag(1 / (s^2 + 1/ratio)) U' is the same with weights up to the
    /// ratio, whose rounding A' then has to cancel: for a blur with sigma 3, a random Y and ratio 1e4 it is off by 4e-5 instead of 6e-7.)
    /// Otherwise by conjugate gradients; see `solveProximal`.
    ///
    /// Cost in closed form: one `apply`, and two products with dense matrices along each axis of a blur or an average; memory of one video
    /// beside the arguments, two more for an average over time with a blur. A blur's first call for frames of a size finds its singular
    /// vectors (2 s for 1280x768), and the operator keeps them.
    /// - Parameters:
    ///   - measurement: Y, float32 or float64, finite.
    ///   - start: of the shape that A makes Y's shape from, of Y's type, finite.
    ///   - ratio: 0 or more. What exceeds 1 / (e |A|^2), e the type's rounding unit (1.2e-7 in float32), counts as that: there Y's rounding
    ///     takes over. Infinity is `pseudoinverse` around the start.
    /// - Throws: `ProblemError` for arguments that do not fit or hold NaN, `TensorError` from the engine.
    public func proximal(_ measurement: Tensor, around start: Tensor, ratio: Double) throws -> Tensor {
        try solveProximal(measurement, around: start, ratio: ratio).solution
    }

    /// `proximal` with a word on how it was found.
    ///
    /// Without a closed form, by conjugate gradients on the normal equation in CGLS form (Björck 1996, 7.4), until they
    /// have converged as the report says or for `iterations` steps. Where only a mask spoils the closed form of what mixes
    /// pixels, that of the operator without it is the preconditioner, its ratio times the fraction of pixels kept. A step
    /// costs one `apply` and one `adjoint`, and with the preconditioner the closed form; memory of six videos beside the
    /// arguments.
    /// - Parameter iterations: 0 or more.
    public func solveProximal(
        _ measurement: Tensor, around start: Tensor, ratio: Double, iterations: Int = 500
    ) throws -> (solution: Tensor, report: ProximalReport) {
        guard ratio >= 0 else {
            throw ProblemError.invalidParameter("The ratio of the variances is a number from 0 on, not \(ratio).")
        }
        guard iterations >= 0 else {
            throw ProblemError.invalidParameter("The number of steps is 0 or more, not \(iterations).")
        }
        try check(measurement, start)
        try checkFinite(measurement, start)
        if ratio == 0 { return (start, ProximalReport(usedClosedForm: true, steps: 0, residual: 0, converged: true)) }
        return try solve(
            measurement, start, ratio: ratio, tolerance: measurement.dtype.epsilon.squareRoot(), iterations: iterations)
    }

    /// `proximal` without a look at the numbers of its arguments, which waits for a GPU: they were seen to be finite. The mask is the
    /// operator's in the measurement's type, on its device; an estimate of the operator's norm is kept.
    func proximalUnchecked(
        _ measurement: Tensor, around start: Tensor, ratio: Double, iterations: Int, mask: Tensor?,
        norm: EstimatedNorm = EstimatedNorm()
    ) throws -> Tensor {
        try check(measurement, start)
        return try solve(
            measurement, start, ratio: ratio, tolerance: measurement.dtype.epsilon.squareRoot(), iterations: iterations,
            mask: mask, norm: norm
        ).solution
    }

    /// The proximal point for an error of the start that is not known but found in the measurement, for each range of singular vectors and
    /// each frame on its own.
    ///
    /// The components of Y - A start along A's left singular vectors are the start's error times the singular value s, and the noise; the
    /// mean square of 20 x 20 neighbouring ones less sigma_y^2, over the mean of s^2, gives the error tau^2, and Wiener's weight
    /// s tau^2 / (s^2 tau^2 + sigma_y^2) takes the place of a ratio that is the same everywhere. For a blur the components are frequencies,
    /// for an average over time alone they are its frequencies in parts of the picture, else they are parts of the picture. Where s is too
    /// small for an error within the bounds to show, the components are all noise, and where that is more than `noise` it is believed: a
    /// kernel that is not quite the true one, or rounded frames of a still scene, cannot be taken for detail.
    ///
    /// A mean over k x k pixels loses less of the start's error than it would if pixels' errors had nothing to do with each other: there the
    /// lower bound counts for sqrt(sqrt(k)) times as much.
    ///
    /// Bounds of the same value, and operators without a closed form (for these, the lower bound), give the ratio bound^2 / noise^2. Cost: as
    /// `proximal` in closed form.
    /// - Parameters:
    ///   - measurement: Y, float32 or float64, finite.
    ///   - start: of the shape that A makes Y's shape from, of Y's type, finite.
    ///   - noise: sigma_y, above 0, in Y's units. What lies below Y's rounding errors counts as these.
    ///   - error: bounds for tau, above 0, in the units of X.
    /// - Throws: `ProblemError` for arguments that do not fit or hold NaN, `TensorError` from the engine.
    public func proximal(
        _ measurement: Tensor, around start: Tensor, noise: Double, error: ClosedRange<Double>
    ) throws -> Tensor {
        try solveProximal(measurement, around: start, noise: noise, error: error).solution
    }

    /// `proximal` for an error that is found in the measurement, with what has become of the measurement's noise.
    ///
    /// Parameters, errors thrown and cost are those of `proximal`.
    /// - Returns: the solution; and the standard deviation of the measurement's noise in it, over all pixels (root mean square), as the
    ///   weights let it through: sqrt(sum of (w sigma)^2 / number of pixels), sigma the noise that is believed. Where singular values are
    ///   small it is larger than `noise`. nil without a closed form.
    public func solveProximal(
        _ measurement: Tensor, around start: Tensor, noise: Double, error: ClosedRange<Double>
    ) throws -> (solution: Tensor, noise: Double?) {
        try check(measurement, start)
        try checkFinite(measurement, start)
        let (solution, passed) = try proximalUnread(measurement, around: start, noise: noise, error: error, mask: nil)
        return (solution, try passed.map { try $0.noise(Tensor.numbers($0.means), pixels: start.count) })
    }

    /// The same without a look at any number, which waits for a GPU: the arguments may be anything, and the noise is not read yet.
    /// - Parameter mask: the operator's in the measurement's type, on its device; nil to ask for it.
    func proximalUnread(
        _ measurement: Tensor, around start: Tensor, noise: Double, error: ClosedRange<Double>, mask: Tensor?,
        norm estimate: EstimatedNorm = EstimatedNorm()
    ) throws -> (solution: Tensor, passed: PassedNoise?) {
        guard noise > 0, noise.isFinite else {
            throw ProblemError.invalidParameter("The noise is a number above 0, not \(noise).")
        }
        guard error.lowerBound > 0, error.upperBound.isFinite else {
            throw ProblemError.invalidParameter(
                "The start's error lies between numbers above 0, not between \(error.lowerBound) and \(error.upperBound)."
            )
        }
        try check(measurement, start)
        let ratio = (error.lowerBound / noise) * (error.lowerBound / noise)
        guard let form = try separated(for: start.shape), form.isExact else {
            return (
                try proximalUnchecked(
                    measurement, around: start, ratio: ratio, iterations: 500, mask: mask, norm: estimate), nil
            )
        }
        let mask = try mask ?? form.mask(like: measurement)
        let passed = PassedNoise(variance: noise * noise, mask: mask)
        let norm = try form.norm()
        let epsilon = measurement.dtype.epsilon
        var filter = SpectralFilter(ratio: min(ratio, 1 / (epsilon * norm * norm)), passedNoise: passed)
        if error.lowerBound < error.upperBound {
            let rounding = epsilon * norm * norm * error.lowerBound * error.lowerBound
            filter.measured = MeasuredError(
                noise: max(noise * noise, rounding),
                bounds: min(error.lowerBound * form.errorGrowth, error.upperBound)...error.upperBound,
                mask: mask)
        }
        return (try closed(form, filter, measurement, start, mask), passed)
    }

    /// The least-squares solution nearest to the start: X0 + A^+ (Y - A X0), A^+ the Moore-Penrose inverse. A X is then the part of Y that A
    /// can make, and X - X0 is orthogonal to what A does not see.
    ///
    /// Singular values of no more than `tolerance` |A| are taken as zero. In closed form as `proximal` with the weights 1 / s, at the same
    /// cost. Otherwise it is the proximal point for the ratio 1 / (tolerance |A|)^2 after 500 steps at most, whose weights
    /// s / (s^2 + (tolerance |A|)^2) have no sharp edge; the tolerance is then no less than the default, and where a mask is not all that
    /// spoils the closed form, |A| is found by ten power iterations.
    /// - Parameters:
    ///   - measurement: Y, float32 or float64, finite.
    ///   - start: X0, of the shape that A makes Y's shape from, of Y's type, finite; nil for 0.
    ///   - tolerance: above 0 and below 1; nil for the root of the type's rounding unit (float32: 3.5e-4, float64: 1.5e-8), which amplifies Y's
    ///     rounding errors to that size at most.
    /// - Throws: `ProblemError` for arguments that do not fit or hold NaN, `TensorError` from the engine.
    public func pseudoinverse(
        _ measurement: Tensor, around start: Tensor? = nil, tolerance: Double? = nil
    ) throws -> Tensor {
        guard tolerance.map({ $0 > 0 && $0 < 1 }) ?? true else {
            throw ProblemError.invalidParameter(
                "The tolerance of a pseudoinverse lies between 0 and 1, not at \(tolerance ?? .nan).")
        }
        let start =
            try start
            ?? .zeros(inputShape(for: measurement.shape), dtype: measurement.dtype, device: measurement.device)
        try check(measurement, start)
        try checkFinite(measurement, start)
        let tolerance = max(tolerance ?? measurement.dtype.epsilon.squareRoot(), measurement.dtype.epsilon)
        return try solve(measurement, start, ratio: .infinity, tolerance: tolerance, iterations: 500).solution
    }

    private func check(_ measurement: Tensor, _ start: Tensor) throws {
        let shape = try inputShape(for: measurement.shape)
        guard start.shape == shape else {
            throw ProblemError.shapeMismatch(what: "start", shape: start.shape, expected: shape)
        }
        guard [.float32, .float64].contains(measurement.dtype), start.dtype == measurement.dtype else {
            throw ProblemError.invalidParameter(
                "A proximal point needs the measurement and the start both as float32 or float64, not \(measurement.dtype.rawValue) and "
                    + "\(start.dtype.rawValue); convert them first.")
        }
    }

    func checkFinite(_ measurement: Tensor, _ start: Tensor) throws {
        let squares = try Tensor.numbers([measurement.innerProduct(measurement), start.innerProduct(start)])
        guard squares[0].isFinite else { throw ProblemError.notFinite("measurement") }
        guard squares[1].isFinite else { throw ProblemError.notFinite("start") }
    }

    /// - Parameters:
    ///   - ratio: above 0, may be infinite.
    ///   - tolerance: the singular values that count as zero for an infinite ratio, in relation to the largest.
    ///   - mask: the operator's in the measurement's type, on its device; nil to ask for it.
    private func solve(
        _ measurement: Tensor, _ start: Tensor, ratio: Double, tolerance: Double, iterations: Int, mask: Tensor? = nil,
        norm estimate: EstimatedNorm = EstimatedNorm()
    ) throws -> (solution: Tensor, report: ProximalReport) {
        let form = try separated(for: start.shape)
        let mask = try form.flatMap { try mask ?? $0.mask(like: measurement) }
        let epsilon = measurement.dtype.epsilon
        if let form, form.isExact {
            let norm = try form.norm()
            let filter = SpectralFilter(
                ratio: ratio == .infinity ? ratio : min(ratio, 1 / (epsilon * norm * norm)), threshold: tolerance * norm
            )
            let report = ProximalReport(usedClosedForm: true, steps: 0, residual: 0, converged: true)
            return (try closed(form, filter, measurement, start, mask), report)
        }
        var ratio = ratio
        if ratio > 0.01 / epsilon {
            let norm = try form?.norm() ?? estimate.value { try estimatedNorm(like: start) }
            ratio = min(
                ratio == .infinity ? 1 / (tolerance * tolerance * norm * norm) : ratio, 1 / (epsilon * norm * norm))
        }
        return try iterated(form, measurement, start, ratio: ratio, iterations: iterations, mask)
    }

    private func closed(
        _ form: SeparatedForm, _ filter: SpectralFilter, _ measurement: Tensor, _ start: Tensor, _ mask: Tensor?
    ) throws -> Tensor {
        // Y - A start, what a mask removed left out.
        func rest(_ measurement: Tensor, _ start: Tensor) throws -> Tensor {
            var rest = try measurement - apply(start)
            if let mask { try rest.multiply(by: mask) }
            return rest
        }
        var result = start
        if mixesFrames {
            // A form that mixes frames asks once; it shall not have to hold what it asked for.
            let whole = form.frames == nil ? try rest(measurement, start) : nil
            try form.add(
                filter, of: { try whole?.rows($0) ?? rest(measurement, start) }, count: measurement.size(0), to: &result
            )
        } else {
            try form.add(
                filter, of: { try rest(measurement.rows($0), start.rows($0)) }, count: measurement.size(0), to: &result)
        }
        return result
    }

    /// Conjugate gradients on (I + ratio A'A) d = ratio A' (Y - A start), X = start + d. Each step reads its numbers twice.
    private func iterated(
        _ form: SeparatedForm?, _ measurement: Tensor, _ start: Tensor, ratio: Double, iterations: Int, _ mask: Tensor?
    ) throws -> (solution: Tensor, report: ProximalReport) {
        let precondition = try preconditioner(form, ratio: ratio, mask)
        let epsilon = measurement.dtype.epsilon
        let tolerance = measurement.dtype == .float64 ? 1e-12 : 1e-6
        // s = Y - A X; g = ratio A's - d the residual, taken from s every time: carried along like s it would leave A's range by rounding
        // errors of the ratio's size, and the steps would add them to d. p is the direction.
        var s = try measurement - apply(start)
        // What stands in holes is no residual, nor are its rounding errors.
        if let mask { try s.multiply(by: mask) }
        var d = try Tensor.zeros(start.shape, dtype: start.dtype, device: start.device)
        var g = try adjoint(s) * ratio
        var p = try precondition(g, s, d)
        var gz = try g.dot(p)
        var norm = try form?.norm() ?? 0
        var report = ProximalReport(
            usedClosedForm: false, steps: 0, residual: gz > 0 ? .infinity : 0, converged: !(gz > 0))
        while report.steps < iterations, gz > 0 {
            let q = try apply(p)
            let curvature = try Tensor.numbers([q.innerProduct(q), p.innerProduct(p)])
            let (qq, pp) = (curvature[0], curvature[1])
            let step = gz / (ratio * qq + pp)
            guard step > 0, step.isFinite else { break }
            try d.add(p, times: step)
            try s.add(q, times: -step)
            g = try adjoint(s) * ratio
            try g.add(d, times: -1)
            if form == nil { norm = max(norm, (qq / pp).squareRoot()) }
            report.steps += 1
            // Also of the last step, where nobody needs it: reading it later would wait once more in all others.
            let z = try precondition(g, s, d)
            let numbers = try Tensor.numbers([
                g.innerProduct(g), d.innerProduct(d), s.innerProduct(s), g.innerProduct(z),
            ])
            let (left, moved) = (numbers[0].squareRoot(), numbers[1].squareRoot())
            report.residual = left / moved
            report.converged =
                left <= max(tolerance * moved, 4 * epsilon * (ratio * norm * numbers[2].squareRoot() + moved))
            if report.converged { break }
            let next = numbers[3]
            try p.multiply(by: next / gz)
            try p.add(z)
            gz = next
        }
        return (try start + d, report)
    }

    /// (I + ratio kept B'B)^-1 (ratio A's - d), for A = M B with B separated and M a mask that keeps the fraction `kept` of the pixels;
    /// ratio A's - d alone for other operators, and where B mixes frames alone: 25 frames averaged by threes, 5 % of the
    /// pixels of each missing, take 170 steps without it at a ratio of 1e4. With it, rounding errors hide the end.
    ///
    /// With B = U diag(s) V' from U's rather than from V'B's, and without what B does not see, where d has nothing: rounding errors there
    /// would outweigh what the inverse leaves of the rest.
    private func preconditioner(
        _ form: SeparatedForm?, ratio: Double, _ mask: Tensor?
    ) throws -> (_ g: Tensor, _ s: Tensor, _ d: Tensor) throws -> Tensor {
        guard let form, let mask, form.mixesPixels else { return { g, _, _ in g } }
        let kept = try mask.to(.float32).mean().item()
        guard kept > 0 else { return { g, _, _ in g } }
        let (back, damped) = (
            SpectralFilter(ratio: ratio * kept), SpectralFilter(ratio: ratio * kept, kind: .rest)
        )
        return { _, s, d in
            var z = try Tensor.zeros(d.shape, dtype: d.dtype, device: d.device)
            try form.add(back, of: { try s.rows($0) }, count: s.size(0), times: 1 / kept, to: &z)
            try form.add(damped, of: { try d.rows($0) }, count: d.size(0), times: -1, to: &z)
            return z
        }
    }

    /// |A| from below, by power iterations from the same numbers every time.
    private func estimatedNorm(like video: Tensor) throws -> Double {
        var generator = RandomGenerator(seed: 0)
        var v = try generator.normal(video.shape, dtype: video.dtype, device: video.device)
        var norm = 0.0
        for _ in 0..<10 {
            let length = try v.norm()
            guard length > 0 else { break }
            let image = try apply(v / length)
            norm = try image.norm()
            v = try adjoint(image)
        }
        return norm
    }
}

/// |A|, estimated when it is first wanted: that takes ten steps, each of which waits for a GPU twice.
final class EstimatedNorm: Sendable {
    private let known = Mutex<Double?>(nil)

    func value(_ estimate: () throws -> Double) rethrows -> Double {
        if let value = known.withLock({ $0 }) { return value }
        let value = try estimate()
        known.withLock { $0 = value }
        return value
    }
}

extension SeparatedForm {
    /// The mask in a measurement's type, on its device.
    fileprivate func mask(like measurement: Tensor) throws -> Tensor? {
        try mask?.to(measurement.dtype).to(measurement.device)
    }
}

extension PassedNoise {
    /// The standard deviation over all pixels of a video.
    /// - Parameter means: `means`, read.
    func noise(_ means: [Double], pixels: Int) -> Double { (energy(means) / Double(pixels)).squareRoot() }
}

extension DType {
    /// The distance from 1 to the next number.
    fileprivate var epsilon: Double { self == .float64 ? 0x1p-52 : 0x1p-23 }
}
