import Foundation
import Synchronization
import TensorKit

/// The most of a GPU's own memory that was in use when it was looked at, by whatever program; nil on a CPU.
public final class MemoryGauge: Sendable {
    private let used: @Sendable () -> Int?
    private let interval: TimeInterval
    private let state = Mutex((peak: Int?.none, read: Date.distantPast))

    public convenience init(_ device: Device) { self.init { device.memory().map { $0.total - $0.free } } }

    /// - Parameters:
    ///   - interval: seconds between two looks; asking a driver at every pass would cost more than it tells.
    ///   - used: bytes that are in use now.
    init(every interval: TimeInterval = 1, _ used: @escaping @Sendable () -> Int?) {
        self.interval = interval
        self.used = used
    }

    public var peak: Int? { state.withLock { $0.peak } }

    /// Looks, unless it did a moment ago. The engine keeps what it freed, so that a glance now and then sees the peak, and one at the end
    /// what was missed.
    public func read(atOnce: Bool = false) {
        state.withLock { state in
            guard atOnce || Date().timeIntervalSince(state.read) >= interval, let used = used() else { return }
            state = (max(state.peak ?? 0, used), Date())
        }
    }
}
