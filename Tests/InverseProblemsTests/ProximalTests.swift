import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

/// Laws of `proximal`, for every operator.
@Suite struct ProximalTests {
    /// |(I + r A'A) X - X0 - r A'Y| <= 1e-5 (|X0| + r max(|A'Y|, |Y| / 8)) in float32 and 1e-12 of it in float64, evaluated in float64. (A
    /// blur wider than the frame leaves a fiftieth of a random Y; Y's rounding then counts beside A'Y.)
    @Test(arguments: Registered.all) func normalEquationHolds(registered: Registered) throws {
        for (problem, shape) in try registered.cases() {
            for (dtype, tolerance) in [(DType.float32, 1e-5), (.float64, 1e-12)] {
                let y = try random(problem.outputShape(for: shape), seed: 1, dtype: dtype)
                let start = try random(shape, seed: 2, dtype: dtype)
                let (Y, X0) = (try y.to(.float64), try start.to(.float64))
                let pull = try problem.adjoint(Y)
                for ratio in dtype == .float32 ? [1e-4, 1e-2, 1, 1e2, 1e4] : [1e4] {
                    let (solution, report) = try problem.solveProximal(
                        y, around: start, ratio: ratio, iterations: registered.steps)
                    #expect(solution.shape == shape && solution.dtype == dtype)
                    #expect(report.converged, "\(problem) \(shape) \(dtype) \(ratio) \(report)")
                    let x = try solution.to(.float64)
                    let left = try x.adding(problem.adjoint(problem.apply(x)), times: ratio)
                    let defect = try (left - X0).adding(pull, times: -ratio).norm()
                    let scale = try X0.norm() + ratio * max(pull.norm(), Y.norm() / 8)
                    #expect(defect <= tolerance * scale, "\(problem) \(shape) \(dtype) \(ratio) \(report)")
                }
            }
        }
    }

    /// Against up to 2,000 steps of conjugate gradients on the normal equation, in float64 from zero.
    @Test(arguments: Registered.all) func agreesWithConjugateGradients(registered: Registered) throws {
        let small = [[2, 3, 1, 5], [4, 3, 6, 9], [8, 3, 8, 12], [7, 1, 3, 3]]
        for (problem, shape) in try registered.cases() where small.contains(shape) {
            let y = try random(problem.outputShape(for: shape), seed: 1, dtype: .float64)
            let start = try random(shape, seed: 2, dtype: .float64)
            for ratio in [1e-2, 1e4] {
                var x = try Tensor.zeros(shape, dtype: .float64)
                var r = try start.adding(problem.adjoint(y), times: ratio)
                var (p, rr) = (r, try r.dot(r))
                for _ in 0..<2000 where rr > 1e-26 * Double(start.count) {
                    let q = try p.adding(problem.adjoint(problem.apply(p)), times: ratio)
                    let step = try rr / p.dot(q)
                    try x.add(p, times: step)
                    try r.add(q, times: -step)
                    let next = try r.dot(r)
                    p = try r.adding(p, times: next / rr)
                    rr = next
                }
                let exact = try problem.solveProximal(y, around: start, ratio: ratio, iterations: registered.steps)
                    .solution
                let rounded = try problem.proximal(y.to(.float32), around: start.to(.float32), ratio: ratio)
                #expect(try relativeDistance(exact, x) < 1e-8, "\(problem) \(shape) \(ratio)")
                #expect(try relativeDistance(rounded.to(.float64), x) < 1e-4, "\(problem) \(shape) \(ratio)")
            }
        }
    }

    /// Ratio 0 gives the start, a tiny one nearly, infinity the pseudoinverse's point, a huge one something finite.
    @Test(arguments: Registered.all) func endsOfTheScale(registered: Registered) throws {
        for (problem, shape) in try registered.cases() where shape.reduce(1, *) < 1500 {
            let (y, start) = (try random(problem.outputShape(for: shape), seed: 1), try random(shape, seed: 2))
            #expect(try relativeDistance(problem.proximal(y, around: start, ratio: 0), start) == 0)
            #expect(try relativeDistance(problem.proximal(y, around: start, ratio: 1e-9), start) < 1e-6)
            guard try problem.separated(for: shape)?.isExact == true else { continue }
            let end = try problem.pseudoinverse(y, around: start)
            #expect(try relativeDistance(problem.proximal(y, around: start, ratio: .infinity), end) == 0)
            #expect(try problem.proximal(y, around: start, ratio: Double.greatestFiniteMagnitude).isFinite().all())
        }
    }

    /// prox(a Y + Y', a X + X') = a prox(Y, X) + prox(Y', X')
    @Test(arguments: Registered.all) func linear(registered: Registered) throws {
        for (problem, shape) in try registered.cases() where shape.reduce(1, *) < 1500 {
            let output = try problem.outputShape(for: shape)
            func numbers(_ shape: [Int], _ seed: UInt64) throws -> Tensor {
                try random(shape, seed: seed, dtype: .float64)
            }
            let (u, v, x, z) = (
                try numbers(output, 1), try numbers(output, 2), try numbers(shape, 3), try numbers(shape, 4)
            )
            let sum = try problem.proximal(v.adding(u, times: -2.5), around: z.adding(x, times: -2.5), ratio: 30)
            let parts = try problem.proximal(v, around: z, ratio: 30).adding(
                problem.proximal(u, around: x, ratio: 30), times: -2.5)
            #expect(try relativeDistance(sum, parts) < 1e-10, "\(problem) \(shape)")
        }
    }

    @Test(arguments: Problem.tasks) func everyTaskHasAClosedForm(task: String) throws {
        let shape = [9, 3, 16, 24]
        let problem = try Problem(task: task).operator(height: 16, width: 24)
        let (y, start) = (try random(problem.outputShape(for: shape), seed: 1), try random(shape, seed: 2))
        let report = try problem.solveProximal(y, around: start, ratio: 10).report
        #expect(report == ProximalReport(usedClosedForm: true, steps: 0, residual: 0, converged: true))
    }

    @Test func whichOperatorsHaveAClosedForm() throws {
        func has(_ problem: any LinearOperator, _ shape: [Int] = [8, 1, 8, 12]) throws -> Bool {
            try problem.separated(for: shape)?.isExact ?? false
        }
        let (average, blur, pooling) = (try TemporalAverage(), try GaussianBlur(), try AveragePooling(factor: 2))
        let (mask, half) = (
            try Mask.random(ratio: 0.5, seed: 1, height: 8, width: 12),
            try Mask.random(ratio: 0.5, seed: 1, height: 4, width: 6)
        )
        for problem in [
            average.then(mask), mask.then(average), average.then(mask).transposed, mask.then(mask).then(average),
        ] as [any LinearOperator] {
            #expect(try has(problem), "\(problem)")
        }
        #expect(try has(average.then(blur).then(pooling).then(blur)))
        #expect(try has(pooling.then(pooling).transposed, [8, 1, 2, 3]))
        for problem in [blur.then(mask), mask.then(blur), mask.then(pooling), pooling.then(half), Veiled(blur)]
            as [any LinearOperator]
        {
            #expect(try !has(problem), "\(problem)")
        }
        // What mixes channels alone commutes with everything that does not.
        let grey = Greyscale(.bt601)
        for problem in [
            grey, blur.then(grey), grey.then(pooling), average.then(grey), grey.then(mask),
            average.then(grey).then(mask),
            average.then(blur).then(grey).then(pooling),
        ] as [any LinearOperator] {
            #expect(try has(problem, [8, 3, 8, 12]), "\(problem)")
        }
        #expect(try !has(blur.then(grey).then(mask), [8, 3, 8, 12]))
        #expect(try has(grey.transposed) && has(average.then(grey).then(pooling).transposed, [8, 1, 4, 6]))
        // Masks of each frame commute with what mixes neither frames nor pixels.
        let (each, small) = try (Registered.maskOfEachFrame([8, 1, 8, 12]), Registered.maskOfEachFrame([8, 1, 4, 6]))
        for problem in [each, each.transposed, each.then(mask), mask.then(each), mask.then(average).then(mask)]
            as [any LinearOperator]
        {
            #expect(try has(problem), "\(problem)")
        }
        #expect(try has(grey.then(each), [8, 3, 8, 12]) && has(each.then(grey), [8, 3, 8, 12]))
        for problem in [average.then(each), each.then(average), blur.then(each), each.then(blur), pooling.then(small)]
            as [any LinearOperator]
        {
            #expect(try !has(problem), "\(problem)")
        }
        for problem in [average.then(each), blur.then(each), pooling.then(small)] as [any LinearOperator] {
            #expect(try problem.separated(for: [8, 1, 8, 12]) != nil, "\(problem)")
        }
        for problem in [each.then(average), each.then(blur), average.then(each).transposed] as [any LinearOperator] {
            #expect(try problem.separated(for: [8, 1, 8, 12]) == nil, "\(problem)")
        }
        // The blur before the mask serves as a preconditioner.
        #expect(try blur.then(mask).separated(for: [8, 1, 8, 12]) != nil)
        #expect(try mask.then(blur).separated(for: [8, 1, 8, 12]) == nil)
        #expect(try blur.then(mask).transposed.separated(for: [8, 1, 8, 12]) == nil)
    }

    /// Masks before and after an average over time, and two of them, keep what both keep.
    @Test func masksCommuteWithTheAverage() throws {
        let (a, b) = (
            try Mask.random(ratio: 0.4, seed: 1, height: 6, width: 5),
            try Mask.random(ratio: 0.4, seed: 2, height: 6, width: 5)
        )
        let average = try TemporalAverage(window: 3, boundary: .replicate)
        let (y, start) = (try random([5, 2, 6, 5], seed: 1), try random([5, 2, 6, 5], seed: 2))
        let expected = try average.then(Mask(a.mask * b.mask)).proximal(y, around: start, ratio: 50)
        for problem in [a.then(average).then(b), a.then(b).then(average), average.then(b).then(a)] {
            #expect(try relativeDistance(problem.proximal(y, around: start, ratio: 50), expected) < 1e-6)
        }
    }

    /// Conjugate gradients find what the closed form says, by themselves and where a mask (of ones) hides it.
    @Test(arguments: Problem.tasks) func iterationsAgreeWithTheClosedForm(task: String) throws {
        let shape = [3, 2, 12, 16]
        let problem = try Problem(task: task).operator(height: 12, width: 16)
        let output = try problem.outputShape(for: shape)
        let hidden = try Composition(
            first: problem, second: Mask.random(ratio: 0, seed: 1, height: output[2], width: output[3]))
        let (y, start) = (try problem.apply(random(shape, seed: 1)), try random(shape, seed: 2))
        for ratio in [0.1, 1e2, 1e4] {
            let x = try problem.proximal(y, around: start, ratio: ratio)
            let (iterated, report) = try Veiled(problem).solveProximal(y, around: start, ratio: ratio)
            #expect(!report.usedClosedForm && report.steps < 500 && report.converged, "\(ratio) \(report)")
            #expect(try relativeDistance(iterated, x) < 2e-5, "\(ratio) \(report)")
            let (found, quick) = try hidden.solveProximal(y, around: start, ratio: ratio)
            #expect(quick.usedClosedForm == !["deblur", "sr4"].contains { task.hasPrefix($0) })
            #expect(quick.steps <= 4, "\(ratio) \(quick)")
            #expect(try relativeDistance(found, x) < 2e-5, "\(ratio) \(quick)")
        }
    }

    /// The same for what mixes channels and what is another operator for every frame; a mask of ones for each frame hides
    /// the form from frames that are mixed.
    @Test(arguments: Registered.grey + Registered.masksOfEachFrame) func iterationsAgreeWithoutTheForm(
        registered: Registered
    ) throws {
        for (problem, shape) in try registered.cases() where shape.reduce(1, *) < 1500 {
            let (y, start) = (try problem.apply(random(shape, seed: 1)), try random(shape, seed: 2))
            let ones = try Mask(.ones([y.size(0), 1, y.size(2), y.size(3)]))
            for ratio in [0.1, 1e4] {
                let x = try problem.proximal(y, around: start, ratio: ratio)
                let (iterated, report) = try Veiled(problem).solveProximal(y, around: start, ratio: ratio)
                #expect(!report.usedClosedForm && report.converged, "\(ratio) \(report)")
                #expect(try relativeDistance(iterated, x) < 5e-5, "\(shape) \(ratio) \(report)")
                let found = try Composition(first: problem, second: ones).proximal(y, around: start, ratio: ratio)
                #expect(try relativeDistance(found, x) < 5e-5, "\(shape) \(ratio)")
            }
        }
    }

    /// A frame with its own mask has the same solution alone and among others, whether they are so large that they are
    /// worked on one at a time or not.
    @Test(arguments: [
        ([3, 2, 16, 24], true), ([3, 2, 16, 24], false), ([3, 1, 1040, 1040], true), ([3, 3, 640, 640], false),
    ])
    func everyFrameHasItsOwnMask(shape: [Int], isPooled: Bool) throws {
        let pooling = try AveragePooling(factor: isPooled ? 4 : 1)
        let output = try pooling.outputShape(for: shape)
        let masks = try Registered.maskOfEachFrame(output)
        let problem = pooling.then(masks)
        let (y, start) = (try random(output, seed: 1), try random(shape, seed: 2))
        let (x, report) = try problem.solveProximal(y, around: start, ratio: 100)
        #expect(report.usedClosedForm == !isPooled && report.converged)
        for frame in 0..<shape[0] {
            let rows = frame..<frame + 1
            let alone = try pooling.then(Mask(masks.mask.rows(rows).reshaped([output[2], output[3]])))
            #expect(
                try relativeDistance(x.rows(rows), alone.proximal(y.rows(rows), around: start.rows(rows), ratio: 100))
                    < 1e-5, "\(frame)")
        }
    }

    /// What stands in holes tells nothing, and does not end the steps early.
    @Test(arguments: [false, true]) func holesTellNothing(ofEachFrame: Bool) throws {
        let shape = [3, 2, 13, 17]
        let mask = try ofEachFrame ? Registered.maskOfEachFrame(shape) : Registered.mask(shape)
        let problem = try TemporalAverage(window: 2).then(GaussianBlur(size: 5, sigma: 1)).then(mask)
        let (y, start) = (try random(shape, seed: 1), try random(shape, seed: 2))
        let loud = try y.selected(where: mask.mask.isGreater(than: 0.5), otherwise: random(shape, seed: 3) * 1000)
        let (x, report) = try problem.solveProximal(mask.apply(y), around: start, ratio: 1e4)
        #expect(!report.usedClosedForm && report.converged)
        for filled in [y, loud] {
            let (other, again) = try problem.solveProximal(filled, around: start, ratio: 1e4)
            #expect(try relativeDistance(other, x) == 0 && again == report)
        }
    }

    /// What grey cannot tell stays as it was: the colours that the weights do not see.
    @Test(arguments: Grey.Matrix.allCases) func coloursStay(matrix: Grey.Matrix) throws {
        let weights = matrix.weights
        let start = try random([2, 3, 5, 7], seed: 2, dtype: .float64)
        let y = try random([2, 1, 5, 7], seed: 1, dtype: .float64)
        let problem = Greyscale(matrix)
        let square = weights.reduce(0) { $0 + $1 * $1 }
        for ratio in [0.1, 1, 1e4] {
            // Sherman and Morrison's formula of a single row.
            let rest = try (y - problem.apply(start)) * (ratio / (1 + ratio * square))
            let expected = try start.adding(rest * Tensor(weights, shape: [1, 3, 1, 1]))
            #expect(try relativeDistance(problem.proximal(y, around: start, ratio: ratio), expected) < 1e-12)
        }
    }

    /// Where a mask spoils the closed form, its operator without the mask saves steps.
    @Test func preconditionerSavesSteps() throws {
        let mask = try Mask.random(ratio: 0.2, seed: 1, height: 32, width: 40)
        let problem = try TemporalAverage(window: 3).then(GaussianBlur(size: 9, sigma: 1)).then(mask)
        let (y, start) = (try random([4, 1, 32, 40], seed: 1), try random([4, 1, 32, 40], seed: 2))
        for ratio in [1e2, 1e4] {
            let steps = try problem.solveProximal(y, around: start, ratio: ratio).report.steps
            let plain = try Veiled(problem).solveProximal(y, around: start, ratio: ratio).report.steps
            #expect(0 < steps && 2 * steps < plain, "\(ratio): \(steps), \(plain)")
        }
        let few = try problem.solveProximal(y, around: start, ratio: 1e4, iterations: 3).report
        #expect(few.steps == 3 && !few.converged && few.residual > 1e-6)
    }

    /// What mixes frames alone has no such help, and finds an end without.
    @Test(arguments: [3, 7]) func masksOfAveragedFramesConverge(window: Int) throws {
        let shape = [25, 1, 10, 12]
        let masks = try (0..<25).map { try Mask.random(ratio: 0.05, seed: $0, height: 10, width: 12).mask }
        let problem = try TemporalAverage(window: window).then(Mask(Tensor.stack(masks).unsqueezed(1)))
        let (y, start) = (try problem.apply(random(shape, seed: 1)), try random(shape, seed: 2))
        for ratio in [1, 1e2, 1e4] {
            let (x, report) = try problem.solveProximal(y, around: start, ratio: ratio)
            #expect(report.converged && report.steps < 400, "\(ratio): \(report)")
            let exact = try problem.proximal(y.to(.float64), around: start.to(.float64), ratio: ratio)
            #expect(try relativeDistance(x.to(.float64), exact) < 1e-5, "\(ratio)")
        }
    }

    /// Frames so large that they are worked on one at a time: a strip of them has a strip of the solution.
    @Test(arguments: ["sr4", "sr4+"]) func largeFramesComeInParts(task: String) throws {
        let problem = try Problem(task: task).operator(height: 640, width: 1024)
        let (y, start) = (try random([8, 1, 160, 256], seed: 1), try random([8, 1, 640, 1024], seed: 2))
        let whole = try problem.proximal(y, around: start, ratio: 100)
        let strip = try problem.proximal(
            y.narrow(2, from: 80, count: 10).contiguous(), around: start.narrow(2, from: 320, count: 40).contiguous(),
            ratio: 100)
        #expect(try relativeDistance(whole.narrow(2, from: 320, count: 40), strip) < 1e-6)
    }

    @Test func seesThroughLayouts() throws {
        for task in Problem.tasks {
            let problem = try Problem(task: task).operator(height: 12, width: 16)
            let start = try random([4, 3, 12, 16], seed: 2)
            let y = try random(problem.outputShape(for: start.shape), seed: 1)
            let expected = try problem.proximal(y, around: start, ratio: 100)
            let x = try problem.proximal(
                y.contiguous(.channelsLast), around: start.transposed(2, 3).copied().contiguous().transposed(2, 3),
                ratio: 100)
            #expect(try relativeDistance(x, expected) < 1e-6)
        }
    }

    @Test func anOperatorOfOnesOwnMaySayItsForm() throws {
        let problem = try ColumnProduct([[1, 2, 0, 1], [0, 0.5, -1, 3], [2, 0, 0, 1]])
        let (y, start) = (try random([2, 1, 5, 3], seed: 1), try random([2, 1, 5, 4], seed: 2))
        let compositions: [any LinearOperator] = try [
            problem, problem.then(GaussianBlur(size: 3, sigma: 0.5)), TemporalAverage(window: 2).then(problem),
        ]
        for problem in compositions {
            let (x, report) = try problem.solveProximal(y, around: start, ratio: 7)
            #expect(report.usedClosedForm)
            #expect(try relativeDistance(x, Veiled(problem).proximal(y, around: start, ratio: 7)) < 1e-5)
        }
        // One across the channels, with singular values of their own.
        let channels = try ChannelProduct([[1, 2, 0], [0, 0.5, -1]])
        let (colours, before) = (try random([4, 2, 6, 8], seed: 1), try random([4, 3, 6, 8], seed: 2))
        let mixtures: [any LinearOperator] = try [
            channels, GaussianBlur(size: 3, sigma: 0.5).then(channels), TemporalAverage(window: 2).then(channels),
            channels.then(Registered.maskOfEachFrame([4, 2, 6, 8])),
            TemporalAverage(window: 2).then(channels).then(Registered.mask([4, 2, 6, 8])),
            ChannelProduct([[1, 0, 1], [0, 2, 0], [0, 0, 3]]).then(channels),
        ]
        for problem in mixtures {
            let (x, report) = try problem.solveProximal(colours, around: before, ratio: 7)
            #expect(report.usedClosedForm)
            #expect(
                try relativeDistance(x, Veiled(problem).proximal(colours, around: before, ratio: 7)) < 1e-5,
                "\(problem)")
            let back = try problem.transposed.proximal(before, around: colours, ratio: 7)
            #expect(
                try relativeDistance(back, Veiled(problem.transposed).proximal(before, around: colours, ratio: 7))
                    < 1e-5, "\(problem)")
        }
        for rows in [[], [[]], [[1], [1, 2]], [[.nan]]] as [[[Double]]] {
            #expect(throws: ProblemError.self) { try AxisMatrix(rows: rows) }
        }
    }

    @Test func badArgumentsAreRefused() throws {
        let (x, y) = (try random([1, 3, 8, 8], seed: 1), try random([1, 3, 2, 2], seed: 1))
        let problem = try AveragePooling(factor: 4)
        for ratio in [-1, -Double.infinity, .nan] {
            #expect(throws: ProblemError.self) { try problem.proximal(y, around: x, ratio: ratio) }
        }
        #expect(throws: ProblemError.self) { try problem.solveProximal(y, around: x, ratio: 1, iterations: -1) }
        for tolerance in [0, -1, 1, .nan] {
            #expect(throws: ProblemError.self) { try problem.pseudoinverse(y, tolerance: tolerance) }
        }
        let wrong = ProblemError.shapeMismatch(what: "start", shape: [1, 3, 2, 2], expected: [1, 3, 8, 8])
        #expect(throws: wrong) { try problem.proximal(y, around: y, ratio: 1) }
        #expect(throws: wrong) { try problem.pseudoinverse(y, around: y) }
        #expect(throws: ProblemError.notAVideo(shape: [3, 2, 2])) { try problem.pseudoinverse(.zeros([3, 2, 2])) }
        for value in [Double.nan, .infinity] {
            let (badY, badX) = (try Tensor.full([1, 3, 2, 2], value), try Tensor.full([1, 3, 8, 8], value))
            #expect(throws: ProblemError.notFinite("measurement")) { try problem.proximal(badY, around: x, ratio: 1) }
            #expect(throws: ProblemError.notFinite("measurement")) { try problem.pseudoinverse(badY) }
            #expect(throws: ProblemError.notFinite("start")) { try problem.proximal(y, around: badX, ratio: 1) }
            #expect(throws: ProblemError.notFinite("start")) { try problem.proximal(y, around: badX, ratio: 0) }
        }
        for (type, other) in [
            (DType.float16, DType.float16), (.bfloat16, .bfloat16), (.float32, .float64), (.uint8, .uint8),
        ] {
            #expect(throws: ProblemError.self) { try problem.proximal(y.to(type), around: x.to(other), ratio: 1) }
        }
    }
}

/// Laws of `proximal` with an error that the measurement shows.
@Suite struct MeasuredErrorTests {
    /// A truth, a measurement of it with white noise, and a start with a white error or one of low frequencies.
    struct Case {
        var truth, measurement, start: Tensor

        init(_ problem: any LinearOperator, shape: [Int], noise: Double, error: Double, isSmooth: Bool = false) throws {
            truth = try random(shape, seed: 1)
            measurement = try problem.apply(truth)
            try measurement.add(random(measurement.shape, seed: 2), times: noise)
            var wrong = try random(shape, seed: 3)
            if isSmooth { wrong = try GaussianBlur(size: 13, sigma: 2, boundary: .circular).apply(wrong) }
            start = try truth.adding(wrong, times: error)
        }

        func error(_ x: Tensor) throws -> Double { try (x - truth).norm() }
    }

    static let height = 64, width = 80

    /// Frames that are as many blocks of components: those of a single channel are larger.
    static func shape(_ frames: Int, of registered: Registered) -> [Int] {
        let scale = registered.channels == nil ? 1 : 2
        return [frames, 3, scale * height, scale * width]
    }

    /// The paper's tasks, and what mixes channels or is another operator for every frame, with a closed form.
    static let problems =
        Registered.all.filter { $0.testDescription.hasPrefix("task ") }
        + Registered.all.named(
            "grey bt709", "grey, then blur", "pooling, then grey", "valid average, then grey",
            "average, grey, then mask",
            "mask of each frame", "grey, then mask of each frame", "mask, then mask of each frame")

    @Test(arguments: problems) func findsAWhiteError(registered: Registered) throws {
        let shape = Self.shape(5, of: registered)
        let problem = try registered.make(shape)
        for (noise, error) in [(0.1, 0.3), (0.01, 0.05), (0.3, 0.6)] {
            let sample = try Case(problem, shape: shape, noise: noise, error: error)
            func fixed(_ error: Double) throws -> Double {
                try sample.error(
                    problem.proximal(sample.measurement, around: sample.start, ratio: error * error / (noise * noise)))
            }
            let bounds = error / 10...error * 5
            let found = try sample.error(
                problem.proximal(sample.measurement, around: sample.start, noise: noise, error: bounds))
            let (known, low, high) = (try fixed(error), try fixed(bounds.lowerBound), try fixed(bounds.upperBound))
            #expect(
                found < 1.02 * known && found < low && found < high, "\(noise): \(found), \(known), \(low), \(high)")
        }
    }

    /// Where the error is another one at every frequency no single ratio does as well.
    @Test(arguments: [1.0, 2]) func findsAnErrorOfLowFrequencies(sigma: Double) throws {
        let problem = try GaussianBlur(size: 13, sigma: sigma)
        let sample = try Case(problem, shape: [2, 3, 120, 160], noise: 0.02, error: 1, isSmooth: true)
        let found = try sample.error(
            problem.proximal(sample.measurement, around: sample.start, noise: 0.02, error: 1e-3...1))
        for error in [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2] {
            let fixed = try sample.error(
                problem.proximal(sample.measurement, around: sample.start, ratio: error * error / 4e-4))
            #expect(found < 0.99 * fixed, "\(error): \(found), \(fixed)")
        }
    }

    /// What is said to have passed is by how much solutions differ whose measurements have different noise, over the root of two. With equal
    /// bounds they are linear in Y.
    @Test(arguments: problems) func saysWhatNoisePasses(registered: Registered) throws {
        let shape = Self.shape(9, of: registered)
        let problem = try registered.make(shape)
        let sample = try Case(problem, shape: shape, noise: 0, error: 0.15)
        for (bounds, tolerance) in [(0.1...0.1, 0.03), (0.1...0.2, 0.1)] {
            func solve(seed: UInt64) throws -> (solution: Tensor, noise: Double) {
                let y = try sample.measurement + random(sample.measurement.shape, seed: seed) * 0.02
                let (x, noise) = try problem.solveProximal(y, around: sample.start, noise: 0.02, error: bounds)
                #expect(
                    try relativeDistance(x, problem.proximal(y, around: sample.start, noise: 0.02, error: bounds)) == 0)
                return try (x, #require(noise))
            }
            let (a, b) = try (solve(seed: 4), solve(seed: 5))
            let seen = try (a.solution - b.solution).norm() / (2 * Double(a.solution.count)).squareRoot()
            #expect(abs(a.noise / seen - 1) < tolerance, "\(bounds): \(a.noise) said, \(seen) seen")
        }
    }

    /// Without a closed form nothing is said.
    @Test func whatNoisePassesIsNotGuessed() throws {
        let problem = try GaussianBlur(size: 5, sigma: 1).then(Mask.random(ratio: 0.5, seed: 1, height: 24, width: 32))
        let sample = try Case(problem, shape: [2, 3, 24, 32], noise: 0.02, error: 0.1)
        let (x, noise) = try problem.solveProximal(
            sample.measurement, around: sample.start, noise: 0.02, error: 0.1...0.2)
        #expect(try noise == nil && x.isFinite().all())
    }

    /// The error is believed within the bounds only.
    @Test func keepsToTheBounds() throws {
        let problem = try Mask.random(ratio: 0.5, seed: 1, height: 40, width: 60)
        let sample = try Case(problem, shape: [2, 3, 40, 60], noise: 0.1, error: 0.3)
        for (bounds, ratio) in [(0.01...0.1, 1), (0.6...2, 36)] as [(ClosedRange<Double>, Double)] {
            let x = try problem.proximal(sample.measurement, around: sample.start, noise: 0.1, error: bounds)
            #expect(
                try relativeDistance(x, problem.proximal(sample.measurement, around: sample.start, ratio: ratio)) < 1e-6
            )
        }
    }

    /// The lower bound is that of pixels' errors; means of 4 x 4 pixels have twice the square of it.
    @Test func meansHaveMoreOfTheError() throws {
        let problem = try AveragePooling(factor: 4)
        let sample = try Case(problem, shape: [2, 3, 80, 80], noise: 0.1, error: 1e-3)
        for (bounds, ratio) in [(0.05...1, 0.5), (0.05...0.06, 0.36)] as [(ClosedRange<Double>, Double)] {
            let x = try problem.proximal(sample.measurement, around: sample.start, noise: 0.11, error: bounds)
            let expected = try problem.proximal(sample.measurement, around: sample.start, ratio: ratio / 1.21)
            #expect(try relativeDistance(x, expected) < 1e-6)
        }
    }

    /// Five times the noise that was said: what a blur does not let through tells.
    @Test func noiseShowsWhereABlurLetsNothingThrough() throws {
        for problem in [
            try GaussianBlur(size: 13, sigma: 2), try Problem(task: "deblur+").operator(height: 64, width: 80),
        ] as [any LinearOperator] {
            let sample = try Case(problem, shape: [7, 3, 64, 80], noise: 0.05, error: 0.2)
            func error(_ noise: Double) throws -> Double {
                try sample.error(
                    problem.proximal(sample.measurement, around: sample.start, noise: noise, error: 0.1...0.4))
            }
            let (found, known) = (try error(0.01), try error(0.05))
            let fixed = try sample.error(problem.proximal(sample.measurement, around: sample.start, ratio: 400))
            #expect(fixed > 1.01 * known && found < known + 0.1 * (fixed - known), "\(found), \(known), \(fixed)")
        }
    }

    @Test func equalBoundsAreARatio() throws {
        for registered in Self.problems {
            let problem = try registered.make([3, 3, 16, 24])
            let sample = try Case(problem, shape: [3, 3, 16, 24], noise: 0.1, error: 0.3)
            let expected = try problem.proximal(sample.measurement, around: sample.start, ratio: 25)
            let x = try problem.proximal(sample.measurement, around: sample.start, noise: 0.1, error: 0.5...0.5)
            #expect(try relativeDistance(x, expected) == 0)
            // Nor can an operator of unknown singular vectors tell errors apart.
            let veiled = try Veiled(problem).proximal(
                sample.measurement, around: sample.start, noise: 0.1, error: 0.5...2)
            #expect(try relativeDistance(veiled, expected) < 2e-5)
        }
    }

    /// A frame has the same solution alone and among others, however these went wrong, where the operator does not mix them.
    @Test(
        arguments: Registered.all.named(
            "task deblur", "task sr4", "task inpaint", "grey bt709", "grey, then blur", "pooling, then grey"))
    func framesStandAlone(registered: Registered) throws {
        let problem = try registered.make([3, 3, Self.height, Self.width])
        let sample = try Case(problem, shape: [3, 3, Self.height, Self.width], noise: 0.1, error: 0.3)
        var start = sample.start
        try start.replace(along: 0, from: 0, with: start.rows(0..<1) * 3)
        let x = try problem.proximal(sample.measurement, around: start, noise: 0.1, error: 0.1...1)
        let alone = try problem.proximal(
            sample.measurement.rows(2..<3), around: start.rows(2..<3), noise: 0.1, error: 0.1...1)
        #expect(try relativeDistance(x.rows(2..<3), alone) < 1e-6)
    }

    /// Nor does it matter what masks the other frames have.
    @Test(arguments: [false, true]) func framesStandAloneUnderTheirMasks(isGrey: Bool) throws {
        let shape = [3, 3, Self.height, Self.width]
        let masks = try Registered.maskOfEachFrame(shape)
        func problem(_ mask: Mask) -> any LinearOperator { isGrey ? Greyscale(.bt709).then(mask) : mask }
        let sample = try Case(problem(masks), shape: shape, noise: 0.1, error: 0.3)
        let (x, whole) = try problem(masks).solveProximal(
            sample.measurement, around: sample.start, noise: 0.1, error: 0.1...1)
        var passed = 0.0
        for frame in 0..<3 {
            let rows = frame..<frame + 1
            let mask = try Mask(masks.mask.rows(rows).reshaped([Self.height, Self.width]))
            let (alone, noise) = try problem(mask).solveProximal(
                sample.measurement.rows(rows), around: sample.start.rows(rows), noise: 0.1, error: 0.1...1)
            #expect(try relativeDistance(x.rows(rows), alone) < 1e-6, "\(frame)")
            passed += try #require(noise) * #require(noise)
        }
        #expect(try abs(#require(whole) / (passed / 3).squareRoot() - 1) < 1e-6)
    }

    /// Channels that are weakened differently, and whose errors differ, are told apart: no single ratio does as well, and
    /// the right one for each channel not much better.
    @Test func channelsWithSingularValuesOfTheirOwnAreKeptApart() throws {
        let shape = [2, 3, 120, 160]
        let (noise, errors) = (0.05, [0.5, 0.05, 0.005])
        let problem = try ChannelProduct([[1, 0, 0], [0, 0.9, 0], [0, 0, 0.8]])
        let truth = try random(shape, seed: 1)
        let y = try problem.apply(truth).adding(random(shape, seed: 2), times: noise)
        let start = try truth.adding(random(shape, seed: 3) * Tensor(errors, shape: [1, 3, 1, 1]).to(.float32))
        let (x, passed) = try problem.solveProximal(y, around: start, noise: noise, error: 1e-3...1)
        let found = try (x - truth).norm()
        for error in [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1] {
            let fixed = try (problem.proximal(y, around: start, ratio: error * error / (noise * noise)) - truth).norm()
            #expect(found < 0.99 * fixed, "\(error): \(found), \(fixed)")
        }
        var known = 0.0
        for (channel, (error, s)) in zip(errors, [1, 0.9, 0.8]).enumerated() {
            func part(_ x: Tensor) throws -> Tensor { try x.narrow(1, from: channel, count: 1) }
            let weight = s * error * error / (s * s * error * error + noise * noise)
            let best = try part(start).adding(part(y).adding(part(start), times: -s), times: weight)
            let distance = try (best - part(truth)).norm()
            known += distance * distance
        }
        #expect(found < 1.02 * known.squareRoot(), "\(found), \(known.squareRoot())")
        // What is said to have passed, against the weights that these errors deserve.
        let weights = zip(errors, [1, 0.9, 0.8]).map { error, s in
            s * error * error / (s * s * error * error + noise * noise)
        }
        let expected = noise * (weights.reduce(0) { $0 + $1 * $1 } / 3).squareRoot()
        #expect(try abs(#require(passed) / expected - 1) < 0.05, "\(passed ?? 0), \(expected)")
    }

    @Test(arguments: problems) func bothTypesAgree(registered: Registered) throws {
        let problem = try registered.make([5, 3, Self.height, Self.width])
        for noise in [1e-3, 0.1] {
            let sample = try Case(problem, shape: [5, 3, Self.height, Self.width], noise: noise, error: 0.3)
            let x = try problem.proximal(sample.measurement, around: sample.start, noise: noise, error: 0.1...1)
            let exact = try problem.proximal(
                sample.measurement.to(.float64), around: sample.start.to(.float64), noise: noise, error: 0.1...1)
            #expect(try relativeDistance(x.to(.float64), exact) < 1e-4, "\(noise)")
        }
    }

    /// No noise worth the name: the measurement is reached as far as float32 goes.
    @Test(
        arguments: Registered.all.named(
            "task sr4", "task inpaint", "task sr4+", "task inpaint+", "grey bt709", "pooling, then grey",
            "average, grey, then mask",
            "mask of each frame", "grey, then mask of each frame"))
    func anExactMeasurementIsMet(registered: Registered) throws {
        let problem = try registered.make([5, 3, Self.height, Self.width])
        let sample = try Case(problem, shape: [5, 3, Self.height, Self.width], noise: 0, error: 0.3)
        let x = try problem.proximal(sample.measurement, around: sample.start, noise: 1e-9, error: 0.1...1)
        #expect(try relativeDistance(problem.apply(x), sample.measurement) < 1e-3)
    }

    @Test func badArgumentsAreRefused() throws {
        let (x, y) = (try random([1, 3, 8, 8], seed: 1), try random([1, 3, 2, 2], seed: 1))
        let problem = try AveragePooling(factor: 4)
        for noise in [0, -1, .nan, .infinity] {
            #expect(throws: ProblemError.self) { try problem.proximal(y, around: x, noise: noise, error: 0.1...1) }
        }
        for error in [0...1, -1...1, 1...Double.infinity] {
            #expect(throws: ProblemError.self) { try problem.proximal(y, around: x, noise: 0.1, error: error) }
        }
        #expect(throws: ProblemError.shapeMismatch(what: "start", shape: [1, 3, 2, 2], expected: [1, 3, 8, 8])) {
            try problem.proximal(y, around: y, noise: 0.1, error: 0.1...1)
        }
        #expect(throws: ProblemError.notFinite("measurement")) {
            try problem.proximal(.full([1, 3, 2, 2], .nan), around: x, noise: 0.1, error: 0.1...1)
        }
    }
}

/// Laws of `pseudoinverse`.
@Suite struct PseudoinverseTests {
    /// Operators whose singular values all lie above a tenth of the largest, or at 0 but for rounding.
    static let separated = Registered.all.filter { registered in
        [
            "identity", "mask", "full mask", "empty mask", "adjoint of pooling", "valid average 1",
            "grey, then pooling", "pooling, then grey",
            "grey, then mask", "mask, then grey", "adjoint of grey", "mask of each frame",
            "mask, then mask of each frame",
            "grey, then mask of each frame", "mask of each frame, then grey", "adjoint of mask of each frame",
        ].contains(registered.testDescription)
            || [
                "blur 3 0.4", "blur 15 0.0", "blur 1 ", "pooling ", "average 1 ", "average 2 valid", "task sr4",
                "task inpaint", "grey bt",
            ]
            .contains { registered.testDescription.hasPrefix($0) }
    }

    /// A B A = A, B A B = B, and A B and B A are symmetric; applied to vectors.
    @Test(arguments: separated) func penrose(registered: Registered) throws {
        for (problem, shape) in try registered.cases() where shape.reduce(1, *) < 1500 {
            for (dtype, tolerance) in [(DType.float32, 3e-5), (.float64, 1e-11)] {
                let output = try problem.outputShape(for: shape)
                let (x, z) = (try random(shape, seed: 1, dtype: dtype), try random(shape, seed: 2, dtype: dtype))
                let (y, w) = (try random(output, seed: 3, dtype: dtype), try random(output, seed: 4, dtype: dtype))
                func A(_ x: Tensor) throws -> Tensor { try problem.apply(x) }
                func B(_ y: Tensor) throws -> Tensor { try problem.pseudoinverse(y) }
                #expect(try relativeDistance(A(B(A(x))), A(x)) < tolerance, "\(problem) \(shape) \(dtype)")
                #expect(try relativeDistance(B(A(B(y))), B(y)) < tolerance, "\(problem) \(shape) \(dtype)")
                #expect(
                    try abs(A(B(y)).dot(w) - y.dot(A(B(w)))) <= tolerance * y.norm() * w.norm(),
                    "\(problem) \(shape) \(dtype)")
                #expect(
                    try abs(B(A(x)).dot(z) - x.dot(B(A(z)))) <= tolerance * x.norm() * z.norm(),
                    "\(problem) \(shape) \(dtype)")
            }
        }
    }

    /// From a start: A X is Y's projection on what A makes, and X - X0 is orthogonal to what A does not see. Ratio 1e12 comes close.
    @Test(arguments: separated) func nearestSolution(registered: Registered) throws {
        for (problem, shape) in try registered.cases() where shape.reduce(1, *) < 1500 {
            let y = try random(problem.outputShape(for: shape), seed: 1, dtype: .float64)
            let (start, z) = (try random(shape, seed: 2, dtype: .float64), try random(shape, seed: 3, dtype: .float64))
            let projection = try problem.apply(problem.pseudoinverse(y))
            let unseen = try z - problem.pseudoinverse(problem.apply(z))
            for (x, tolerance) in [
                (try problem.pseudoinverse(y, around: start), 1e-11),
                (try problem.proximal(y, around: start, ratio: 1e12), 1e-8),
            ] {
                #expect(try (problem.apply(x) - projection).norm() <= tolerance * y.norm(), "\(problem) \(shape)")
                #expect(try abs((x - start).dot(unseen)) <= tolerance * x.norm() * z.norm(), "\(problem) \(shape)")
            }
        }
    }

    @Test(arguments: Registered.all) func linear(registered: Registered) throws {
        for (problem, shape) in try registered.cases() where shape.reduce(1, *) < 1500 {
            guard try problem.separated(for: shape)?.isExact == true else { continue }
            let output = try problem.outputShape(for: shape)
            let (u, v) = (try random(output, seed: 1, dtype: .float64), try random(output, seed: 2, dtype: .float64))
            let parts = try problem.pseudoinverse(v).adding(problem.pseudoinverse(u), times: -2.5)
            #expect(
                try relativeDistance(problem.pseudoinverse(v.adding(u, times: -2.5)), parts) < 1e-10,
                "\(problem) \(shape)")
        }
    }

    /// Singular values 1, 1e-2 and 1e-5 along the columns.
    @Test func toleranceTakesSmallSingularValuesAsZero() throws {
        let problem = try ColumnProduct([[1, 0, 0], [0, 1e-2, 0], [0, 0, 1e-5]])
        let y = try Tensor([1, 1, 1] as [Double], shape: [1, 1, 1, 3])
        for (tolerance, expected) in [(nil, [1, 1e2, 1e5]), (1e-3, [1, 1e2, 0]), (0.1, [1, 0, 0])]
            as [(Double?, [Double])]
        {
            let x = try problem.pseudoinverse(y, tolerance: tolerance).array(of: Double.self)
            #expect(zip(x, expected).allSatisfy { abs($0 - $1) <= 1e-12 * abs($1) }, "\(x)")
        }
        #expect(try problem.pseudoinverse(y.to(.float32)).array(of: Float.self) == [1, 100, 0])
    }

    /// Without a closed form: (tolerance / s)^2 from it.
    @Test func iterationsComeClose() throws {
        let full = try Mask.random(ratio: 0, seed: 1, height: 6, width: 8)
        for problem in [try AveragePooling(factor: 2), try GaussianBlur(size: 3, sigma: 0.4), full]
            as [any LinearOperator]
        {
            let y = try random(problem.outputShape(for: [3, 2, 6, 8]), seed: 1)
            let expected = try problem.pseudoinverse(y)
            #expect(try relativeDistance(Veiled(problem).pseudoinverse(y), expected) < 1e-5)
        }
        // A mask that spoils the closed form, and well conditioned.
        let problem = try GaussianBlur(size: 3, sigma: 0.4).then(Mask.random(ratio: 0.5, seed: 1, height: 6, width: 8))
        let x = try random([3, 2, 6, 8], seed: 1)
        let solution = try problem.pseudoinverse(problem.apply(x))
        #expect(try relativeDistance(problem.apply(solution), problem.apply(x)) < 1e-5)
        #expect(try abs((x - solution).dot(solution)) < 1e-4 * x.dot(x))
    }

    @Test func nothingMeasuredLeavesTheStart() throws {
        let problem = try Mask.random(ratio: 1, seed: 1, height: 6, width: 8)
        let (y, start) = (try random([3, 2, 6, 8], seed: 1), try random([3, 2, 6, 8], seed: 2))
        for problem in [problem, Veiled(problem), try GaussianBlur().then(problem), try problem.then(GaussianBlur())]
            as [any LinearOperator]
        {
            #expect(try relativeDistance(problem.pseudoinverse(y, around: start), start) == 0)
            #expect(try relativeDistance(problem.proximal(y, around: start, ratio: 100), start) == 0)
        }
    }
}

/// An operator that does not say its form.
struct Veiled: LinearOperator {
    let base: any LinearOperator

    init(_ base: any LinearOperator) { self.base = base }

    var name: String { "veiled \(base.name)" }
    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { try base.outputShape(for: input) }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { try base.inputShape(for: output) }
    func apply(_ video: Tensor) throws -> Tensor { try base.apply(video) }
    func adjoint(_ measurement: Tensor) throws -> Tensor { try base.adjoint(measurement) }
}

/// A product with a matrix along the columns.
private struct ColumnProduct: LinearOperator {
    let matrix: Tensor
    let factor: AxisMatrix

    init(_ rows: [[Double]]) throws {
        matrix = try Tensor(rows.flatMap(\.self), shape: [rows.count, rows[0].count])
        factor = try AxisMatrix(rows: rows)
    }

    var name: String { "product along columns" }
    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { input.dropLast() + [matrix.size(0)] }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { output.dropLast() + [matrix.size(1)] }
    func apply(_ video: Tensor) throws -> Tensor { try video.multiplied(by: matrix.to(video.dtype).transposed(0, 1)) }
    func adjoint(_ measurement: Tensor) throws -> Tensor {
        try measurement.multiplied(by: matrix.to(measurement.dtype))
    }
    func separated(for shape: [Int]) throws -> SeparatedForm? { SeparatedForm(columns: .matrix(factor)) }
}

/// A product with a matrix across the channels.
private struct ChannelProduct: LinearOperator {
    let matrix: Tensor
    let factor: AxisMatrix

    init(_ rows: [[Double]]) throws {
        matrix = try Tensor(rows.flatMap(\.self), shape: [rows.count, rows[0].count])
        factor = try AxisMatrix(rows: rows)
    }

    var name: String { "product across channels" }
    var mixesFrames: Bool { false }
    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { [input[0], matrix.size(0)] + input[2...] }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { [output[0], matrix.size(1)] + output[2...] }
    func apply(_ video: Tensor) throws -> Tensor { try multiply(matrix, video) }
    func adjoint(_ measurement: Tensor) throws -> Tensor { try multiply(matrix.transposed(0, 1), measurement) }
    func separated(for shape: [Int]) throws -> SeparatedForm? { SeparatedForm(channels: factor) }

    private func multiply(_ matrix: Tensor, _ x: Tensor) throws -> Tensor {
        try matrix.to(x.dtype).multiplied(by: x.reshaped([x.size(0), x.size(1), -1])).reshaped([
            x.size(0), matrix.size(0), x.size(2), x.size(3),
        ])
    }
}
