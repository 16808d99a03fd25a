import Baselines
import InverseProblems
import TensorKit
import TestSupport
import Testing
import VisionXL

/// The methods without a prior.
@Suite struct BaselineTests {
    final class Log: @unchecked Sendable { var entries: [RestorationProgress] = [] }

    static let all: [any Restorer] = [
        UpsamplingRestorer(), UpsamplingRestorer(.nearest), AdjointRestorer(), AdjointRestorer(normalized: false),
        DataStepRestorer(ConjugateGradientStep(iterations: 10)), DataStepRestorer(SymmetricStep()),
        DataStepRestorer(ProximalStep()),
        quickADMM,
    ]

    /// Smooth noise in [-1, 1].
    static func video(_ frames: Int, _ height: Int, _ width: Int) throws -> Tensor {
        try GaussianBlur(size: 9, sigma: 2).apply(random([frames, 3, height, width], seed: 3)).clamped(to: -1...1)
    }

    /// What is known exactly.
    static func exact(_ Y: Tensor, _ A: any LinearOperator) throws -> VideoMeasurement {
        try VideoMeasurement(Y, operator: A, noise: .none)
    }

    static var quickADMM: ADMMTotalVariation {
        var options = TotalVariationOptions()
        (options.iterations, options.innerSteps) = (3, 4)
        return ADMMTotalVariation(options: options)
    }

    @Test(arguments: Problem.tasks) func everyMethodGivesAVideoOfTheRightSizeOnEveryTask(task: String) throws {
        let truth = try Self.video(8, 16, 24)
        let A = try Problem(task: task).operator(height: 16, width: 24)
        let Y = try A.apply(truth)
        for method in Self.all {
            let result = try method.restore(Self.exact(Y, A))
            #expect(result.frames.shape == truth.shape && result.frames.dtype == .float32)
            #expect(try result.frames.isFinite().all())
        }
    }

    @Test func fewerMeasuredFramesAreRestoredToAll() throws {
        let truth = try Self.video(7, 12, 12)
        let A = try TemporalAverage(window: 3, boundary: .valid)
        for method in Self.all {
            #expect(try method.restore(Self.exact(A.apply(truth), A)).frames.shape == truth.shape)
        }
    }

    @Test func everyMethodReportsItsEndAndCanBeStopped() throws {
        let Y = try Self.video(2, 8, 8)
        for method in Self.all {
            let log = Log()
            _ = try method.restore(Self.exact(Y, Identity())) { log.entries.append($0) }
            #expect(log.entries.last?.fraction == 1)
            #expect(
                zip(log.entries, log.entries.dropFirst()).allSatisfy {
                    $0.fraction <= $1.fraction && $0.step <= $1.step
                })
            #expect(throws: CancellationError.self) {
                try method.restore(Self.exact(Y, Identity())) { _ in throw CancellationError() }
            }
            // A video of another number of channels.
            let grey = try Self.exact(.zeros([2, 1, 8, 8]), Identity())
            #expect(throws: RestorationError.self) { try method.restore(grey) }
        }
        #expect(throws: ProblemError.self) { try Self.exact(.zeros([3, 8, 8]), Identity()) }
        #expect(throws: ProblemError.self) {
            try Self.exact(Y, AveragePooling(factor: 2).transposed.then(Mask(.ones([3, 3]))))
        }
    }

    /// A film without colours, and one whose frames have holes of their own.
    @Test func greyFramesAndHolesOfEachFrameAreRestored() throws {
        let truth = try Self.video(4, 16, 24)
        let masks = try (0..<4).map { try Mask.random(ratio: 0.3, seed: $0, height: 16, width: 24).mask }
        let holes = try Mask(Tensor.stack(masks).unsqueezed(1))
        for A in [
            Greyscale(.bt601), try Greyscale(.bt709).then(AveragePooling(factor: 2)), holes,
            Greyscale(.bt709).then(holes),
        ]
            as [any LinearOperator]
        {
            for method in Self.all {
                let result = try method.restore(Self.exact(A.apply(truth), A))
                #expect(result.frames.shape == truth.shape)
                #expect(try result.frames.isFinite().all())
            }
        }
    }

    @Test func whereTheSizesAgreeUpsamplingIsTheMeasurement() throws {
        let Y = try Self.video(3, 12, 16)
        #expect(
            try (UpsamplingRestorer().restore(Self.exact(Y, GaussianBlur())).frames - Y).absolute().maximum().item()
                == 0)
    }

    /// A flat video keeps its level through the normalised adjoint of every task; where nothing was measured it is mid-grey.
    @Test(arguments: Problem.tasks) func theNormalisedAdjointKeepsFlatAreas(task: String) throws {
        let truth = try Tensor.full([8, 3, 16, 24], 0.5)
        let A = try Problem(task: task).operator(height: 16, width: 24)
        let X = try AdjointRestorer().restore(Self.exact(A.apply(truth), A)).frames
        let weight = try A.adjoint(A.apply(.ones(truth.shape)))
        let expected = try truth.selected(where: weight.isGreater(than: 1e-6), otherwise: .zeros(truth.shape))
        #expect(try (X - expected).absolute().maximum().item() < 1e-5)
    }

    @Test func thePlainAdjointIsTheAdjoint() throws {
        let A = try AveragePooling(factor: 4)
        let Y = try Self.video(2, 4, 4)
        let X = try AdjointRestorer(normalized: false).restore(Self.exact(Y, A)).frames
        #expect(try (X - A.adjoint(Y)).absolute().maximum().item() == 0)
    }

    @Test func conjugateGradientsComeCloserToTheMeasurement() throws {
        let truth = try Self.video(4, 16, 16)
        let A = try GaussianBlur(size: 9, sigma: 2)
        let Y = try A.apply(truth)
        var last = Double.infinity
        for steps in [0, 2, 10] {
            let result = try DataStepRestorer(ConjugateGradientStep(iterations: steps)).restore(Self.exact(Y, A))
            let residual = try #require(result.residuals.first)
            #expect(residual.after <= residual.before && residual.after < last)
            #expect(try abs((Y - A.apply(result.frames)).norm() / Y.norm() - residual.after) < 1e-5)
            last = residual.after
        }
    }

    @Test func admmReportsItsObjectiveAndResiduals() throws {
        let truth = try Self.video(3, 12, 16)
        let A = try GaussianBlur(size: 5, sigma: 1)
        let log = Log()
        let result = try Self.quickADMM.restore(Self.exact(A.apply(truth), A)) { log.entries.append($0) }
        #expect(result.objectives.count == 4 && result.residuals.count == 3)
        let first = try #require(result.objectives.first)
        #expect(result.objectives.dropFirst().allSatisfy { $0 < first })
        #expect(log.entries.compactMap(\.residual) == result.residuals)
        #expect(log.entries.allSatisfy { $0.phase == .optimizing && $0.stepCount == 3 })
        #expect(log.entries.count == 3 * 4 + 3)
    }
}
