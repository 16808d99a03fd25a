import TensorKit
import VisionXL

/// Keeps freed memory from adding up in a run of several windows: what is free in pieces after one phase does not serve the next one, by chance
/// more or less, so that the longer the run, the higher its peak.
final class HeapKeeper {
    private var last: RestorationProgress.Phase?
    private let isNeeded: Bool

    init(_ plan: WindowPlan, _ device: Device) { isNeeded = plan.windows.count > 1 && device == .cpu }

    /// Gives memory back where a phase begins. Cost: what is taken again is cleared first, a fifth of a second for a gigabyte.
    func began(_ phase: RestorationProgress.Phase) {
        guard isNeeded, phase != last else { return }
        last = phase
        Heap.trim()
    }
}
