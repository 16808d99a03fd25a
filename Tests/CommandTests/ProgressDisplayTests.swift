import Foundation
import Testing
import VisionXL

@testable import VisionXLCommand

@Suite struct ProgressDisplayTests {
    private func line(_ phase: RestorationProgress.Phase) -> String {
        let progress = RestorationProgress(
            phase: phase, step: 3, stepCount: 30, timestep: 0, frame: 25, frameCount: 25, fraction: 0.1, residual: nil)
        return ProgressDisplay(windowCount: 1, isTerminal: true).line(progress, window: 0, now: Date())
    }

    @Test func framesAreCountedWhereTheyComeOneAfterTheOther() {
        #expect(line(.decoding).hasPrefix("step 3/30, decoding frame 25/25, "))
        #expect(line(.optimizing).hasPrefix("step 3/30, optimizing, "))
    }
}
