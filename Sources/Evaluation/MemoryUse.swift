import TensorKit

/// The most of a device's memory that was in use when it was looked at.
final class MemoryGauge {
    private let device: Device
    private(set) var peak: Int?

    init(_ device: Device) { self.device = device }

    func read() {
        guard let memory = device.memory() else { return }
        peak = max(peak ?? 0, memory.total - memory.free)
    }
}
