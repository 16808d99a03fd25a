import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

@Suite struct OperatorLaws {
    @Test(arguments: Registered.all) func everyOperatorTakesSomeShapes(registered: Registered) throws {
        #expect(try registered.cases().count >= 2)
        for (problem, _) in try registered.cases() { #expect(!problem.name.isEmpty && "\(problem)" == problem.name) }
    }

    @Test(arguments: Registered.all) func shapesAgree(registered: Registered) throws {
        for (problem, shape) in try registered.cases() {
            let output = try problem.outputShape(for: shape)
            let y = try problem.apply(random(shape, seed: 1))
            #expect(y.shape == output)
            #expect(try problem.inputShape(for: output) == shape)
            #expect(try problem.adjoint(y).shape == shape)
        }
    }

    /// <A x, y> = <x, A' y>
    @Test(arguments: Registered.all) func adjointIsExact(registered: Registered) throws {
        for (problem, shape) in try registered.cases() {
            for (dtype, tolerance) in [(DType.float32, 1e-5), (.float64, 1e-12)] {
                let x = try random(shape, seed: 1, dtype: dtype)
                let y = try random(problem.outputShape(for: shape), seed: 2, dtype: dtype)
                let (image, back) = (try problem.apply(x), try problem.adjoint(y))
                #expect(image.dtype == dtype && back.dtype == dtype)
                let scale = try max(image.norm() * y.norm(), x.norm() * back.norm())
                #expect(try abs(image.dot(y) - x.dot(back)) <= tolerance * scale, "\(problem) \(shape) \(dtype)")
            }
        }
    }

    /// A (a x + z) = a A x + A z, and likewise for A'
    @Test(arguments: Registered.all) func linear(registered: Registered) throws {
        for (problem, shape) in try registered.cases() {
            let (x, z) = (try random(shape, seed: 1, dtype: .float64), try random(shape, seed: 2, dtype: .float64))
            let sum = try problem.apply(z.adding(x, times: -2.5))
            let parts = try problem.apply(z).adding(problem.apply(x), times: -2.5)
            #expect(try relativeDistance(sum, parts) < 1e-12)
            let (u, v) = (try problem.apply(x), try problem.apply(z))
            let backParts = try problem.adjoint(v).adding(problem.adjoint(u), times: -2.5)
            #expect(try relativeDistance(problem.adjoint(v.adding(u, times: -2.5)), backParts) < 1e-12)
        }
    }

    /// |A x| <= |x| but for a reflected border, whose pixels count more than once.
    @Test(arguments: Registered.all) func finiteAndBounded(registered: Registered) throws {
        for (problem, shape) in try registered.cases() {
            let x = try random(shape, seed: 5)
            let y = try problem.apply(x)
            #expect(try y.isFinite().all())
            #expect(try y.norm() <= 4 * x.norm())
        }
    }

    @Test(arguments: Registered.all) func refusesWhatIsNoVideo(registered: Registered) throws {
        let problem = try registered.make([8, registered.channels ?? 3, 8, 12])
        for shape in [[], [3], [8, 8, 12], [8, 3, 0, 12], [0, 3, 8, 12], [1, 8, 3, 8, 12]] {
            #expect(throws: ProblemError.notAVideo(shape: shape)) { try problem.outputShape(for: shape) }
            #expect(throws: ProblemError.notAVideo(shape: shape)) { try problem.inputShape(for: shape) }
            #expect(throws: ProblemError.notAVideo(shape: shape)) { try problem.apply(.zeros(shape)) }
            #expect(throws: ProblemError.notAVideo(shape: shape)) { try problem.adjoint(.zeros(shape)) }
        }
        #expect(throws: ProblemError.notFloatingPoint(.uint8)) {
            try problem.apply(.zeros([8, 3, 8, 12], dtype: .uint8))
        }
        guard let channels = registered.channels else { return }
        let other = [8, 4 - channels, 8, 12]
        #expect(throws: ProblemError.self) { try problem.outputShape(for: other) }
        #expect(throws: ProblemError.self) { try problem.apply(.zeros(other)) }
    }

    /// What says that it does not mix frames gives the same for a video as for its frames one at a time.
    @Test(arguments: Registered.all) func framesAreMixedOnlyWhereItIsSaid(registered: Registered) throws {
        for (problem, shape) in try registered.cases() where !problem.mixesFrames {
            let x = try random(shape, seed: 1)
            let whole = try problem.apply(x)
            #expect(whole.size(0) == shape[0])
            for frame in 0..<shape[0] {
                let alone = try problem.apply(x.rows(frame..<frame + 1))
                #expect(try relativeDistance(alone, whole.rows(frame..<frame + 1)) < 1e-6)
            }
        }
        #expect(try TemporalAverage().then(GaussianBlur()).mixesFrames)
        #expect(try !AveragePooling(factor: 2).then(GaussianBlur()).transposed.mixesFrames)
    }
}
