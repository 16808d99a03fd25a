import InverseProblems
import TensorKit
import Testing

@testable import VisionXL

/// Early timesteps with a quicker autoencoder.
@Suite struct DraftTests {
    /// The start and the last timesteps are never drafts.
    @Test(arguments: [1, 3, 8, 100]) func theTimestepsBeforeTheLastOnesAreDrafts(exact: Int) throws {
        let prior = WatchedPrior()
        var solver = Solver(prior: prior)
        solver.options.exactCodecSteps = exact
        solver.options.codecResidual = 0
        solver.passes = PassSizes(frames: 2)
        _ = try solver.restore(measured(video(2, 8, 8), AveragePooling(factor: 1)))
        let drafts = max(8 - exact, 0)
        let asked = prior.asked.withLock { $0 }
        #expect(asked.draftDecodings == (0..<8).map { $0 < drafts })
        #expect(asked.draftEncodings == [false] + (0..<7).map { $0 < drafts })
    }

    @Test func withoutTheOptionNothingIsADraft() throws {
        let prior = WatchedPrior()
        _ = try Solver(prior: prior).restore(measured(video(2, 8, 8), AveragePooling(factor: 1)))
        #expect(prior.asked.withLock { !($0.draftEncodings + $0.draftDecodings).contains(true) })
    }
}
