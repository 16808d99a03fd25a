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
