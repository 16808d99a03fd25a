import Foundation
import Synchronization
import Testing
import VisionXL

@testable import VisionXLCommand
@testable import Workflow

@Suite struct ProgressDisplayTests {
    private func progress(_ phase: RestorationProgress.Phase) -> RestorationProgress {
        RestorationProgress(
            phase: phase, step: 3, stepCount: 30, timestep: 0, frame: 25, frameCount: 25, fraction: 0.1, residual: nil)
    }

    private func line(_ phase: RestorationProgress.Phase) -> String {
        ProgressLines().line(progress(phase), window: 0, of: 1, now: Date())
    }

    @Test func framesAreCountedWhereTheyComeOneAfterTheOther() {
        #expect(line(.decoding).hasPrefix("step 3/30, decoding frame 25/25, "))
        #expect(line(.optimizing).hasPrefix("step 3/30, optimizing, "))
    }

    /// The most of a GPU's memory that was ever in use; nothing of it where there is no GPU.
    @Test func theGPUsPeak() {
        let used = Mutex([3_000_000_000, 11_900_000_000, 5_000_000_000])
        let gauge = MemoryGauge(every: 0) { used.withLock { $0.removeFirst() } }
        for _ in 0..<3 { gauge.read() }
        #expect(gauge.peak == 11_900_000_000)
        #expect(Usage.peaks(memory: 2_000_000, deviceMemory: gauge.peak).hasSuffix(", of the GPU 11.9 GB"))
        #expect(!Usage.peaks(memory: 2_000_000, deviceMemory: MemoryGauge(.cpu).peak).contains("GPU"))
    }
}
