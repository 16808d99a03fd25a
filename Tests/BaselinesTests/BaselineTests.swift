import InverseProblems
import LatentDiffusion
import TensorKit
import Testing

@testable import VisionXL

/// The methods without a prior.
@Suite struct BaselineTests {
    final class Log: @unchecked Sendable { var entries: [RestorationProgress] = [] }

    static let all: [any Restorer] = [
        UpsamplingRestorer(), UpsamplingRestorer(.nearest), AdjointRestorer(), AdjointRestorer(normalized: false),
        ConjugateGradientsRestorer(), quickADMM,
    ]

    static var quickADMM: ADMMTotalVariation {
        var options = TotalVariationOptions()
        (options.iterations, options.innerSteps) = (3, 4)
        return ADMMTotalVariation(options: options)
    }

    @Test(arguments: Problem.tasks) func everyMethodGivesAVideoOfTheRightSizeOnEveryTask(task: String) throws {
        let truth = try SolverTests.video(8, 16, 24)
        let A = try Problem(task: task).operator(height: 16, width: 24)
        let Y = try A.apply(truth)
        for method in Self.all {
            let result = try method.restore(Y, operator: A)
            #expect(result.frames.shape == truth.shape && result.frames.dtype == .float32)
            #expect(try result.frames.isFinite().all())
        }
    }

    @Test func fewerMeasuredFramesAreRestoredToAll() throws {
        let truth = try SolverTests.video(7, 12, 12)
        let A = try TemporalAverage(window: 3, boundary: .valid)
        for method in Self.all { #expect(try method.restore(A.apply(truth), operator: A).frames.shape == truth.shape) }
    }

    @Test func everyMethodReportsItsEndAndCanBeStopped() throws {
        let Y = try SolverTests.video(2, 8, 8)
        for method in Self.all {
            let log = Log()
            _ = try method.restore(Y, operator: Identity()) { log.entries.append($0) }
            #expect(log.entries.last?.fraction == 1)
            #expect(zip(log.entries, log.entries.dropFirst()).allSatisfy { $0.fraction <= $1.fraction && $0.step <= $1.step })
            #expect(throws: CancellationError.self) { try method.restore(Y, operator: Identity()) { _ in throw CancellationError() } }
            #expect(throws: RestorationError.self) { try method.restore(.zeros([3, 8, 8]), operator: Identity()) }
            #expect(throws: ProblemError.self) {
                try method.restore(Y, operator: AveragePooling(factor: 2).transposed.then(Mask(.ones([3, 3]))))
            }
        }
    }

    @Test func whereTheSizesAgreeUpsamplingIsTheMeasurement() throws {
        let Y = try SolverTests.video(3, 12, 16)
        #expect(try (UpsamplingRestorer().restore(Y, operator: GaussianBlur()).frames - Y).absolute().maximum().item() == 0)
    }

    /// A flat video keeps its level through the normalised adjoint of every task; where nothing was measured it is mid-grey.
    @Test(arguments: Problem.tasks) func theNormalisedAdjointKeepsFlatAreas(task: String) throws {
        let truth = try Tensor.full([8, 3, 16, 24], 0.5)
        let A = try Problem(task: task).operator(height: 16, width: 24)
        let X = try AdjointRestorer().restore(A.apply(truth), operator: A).frames
        let weight = try A.adjoint(A.apply(.ones(truth.shape)))
        let expected = try truth.selected(where: weight.isGreater(than: 1e-6), otherwise: .zeros(truth.shape))
        #expect(try (X - expected).absolute().maximum().item() < 1e-5)
    }

    @Test func thePlainAdjointIsTheAdjoint() throws {
        let A = try AveragePooling(factor: 4)
        let Y = try SolverTests.video(2, 4, 4)
        let X = try AdjointRestorer(normalized: false).restore(Y, operator: A).frames
        #expect(try (X - A.adjoint(Y)).absolute().maximum().item() == 0)
    }

    @Test func conjugateGradientsComeCloserToTheMeasurement() throws {
        let truth = try SolverTests.video(4, 16, 16)
        let A = try GaussianBlur(size: 9, sigma: 2)
        let Y = try A.apply(truth)
        var last = Double.infinity
        for steps in [0, 2, 10] {
            let result = try ConjugateGradientsRestorer(steps: steps).restore(Y, operator: A)
            let residual = try #require(result.residuals.first)
            #expect(residual.after <= residual.before && residual.after < last)
            #expect(try abs((Y - A.apply(result.frames)).norm() / Y.norm() - residual.after) < 1e-5)
            last = residual.after
        }
    }

    @Test func admmReportsItsObjectiveAndResiduals() throws {
        let truth = try SolverTests.video(3, 12, 16)
        let A = try GaussianBlur(size: 5, sigma: 1)
        let log = Log()
        let result = try Self.quickADMM.restore(A.apply(truth), operator: A) { log.entries.append($0) }
        #expect(result.objectives.count == 4 && result.residuals.count == 3)
        let first = try #require(result.objectives.first)
        #expect(result.objectives.dropFirst().allSatisfy { $0 < first })
        #expect(log.entries.compactMap(\.residual) == result.residuals)
        #expect(log.entries.allSatisfy { $0.phase == .optimizing && $0.stepCount == 3 })
        #expect(log.entries.count == 3 * 4 + 3)
    }
}
