import Foundation
import Synchronization
import Testing
import VisionXL

@testable import VisionXLCommand

@Suite struct ProgressDisplayTests {
    private func progress(_ phase: RestorationProgress.Phase) -> RestorationProgress {
        RestorationProgress(phase: phase, step: 3, stepCount: 30, timestep: 0, frame: 25, frameCount: 25, fraction: 0.1, residual: nil)
    }

    private func line(_ phase: RestorationProgress.Phase) -> String {
        ProgressDisplay(windowCount: 1, isTerminal: true).line(progress(phase), window: 0, now: Date())
    }

    @Test func framesAreCountedWhereTheyComeOneAfterTheOther() {
        #expect(line(.decoding).hasPrefix("step 3/30, decoding frame 25/25, "))
        #expect(line(.optimizing).hasPrefix("step 3/30, optimizing, "))
    }

    /// The most of a GPU's memory that was ever in use; nothing of it where there is no GPU.
    @Test func theGPUsPeak() {
        let used = Mutex([3_000_000_000, 11_900_000_000, 5_000_000_000])
        var display = ProgressDisplay(windowCount: 1, isTerminal: false) { used.withLock { $0.removeFirst() } }
        for _ in 0..<3 { display.show(progress(.decoding), window: 0) }
        #expect(display.peakDeviceMemory == 11_900_000_000)
        #expect(display.line(progress(.decoding), window: 0, now: Date()).hasSuffix(", of the GPU 11.9 GB"))
        #expect(!line(.decoding).contains("GPU"))
    }
}
