import Synchronization

/// What crossed between ordinary memory and simulated devices, and how often the program waited for one: what a test counts in place of
/// what a profiler shows on a GPU.
///
///     let traffic = DeviceTraffic()
///     try traffic.counting { try restore(measurement.to(.simulated(.cuda))) }
///     #expect(traffic.events.filter { $0.kind == .down }.count == 1)
///
/// Counted is what the scope's own task does, with the threads that `onThread` starts for it; other tests may run beside it.
public final class DeviceTraffic: Sendable {
    /// Something that makes the program wait.
    public struct Event: Sendable, Equatable {
        public enum Kind: String, Sendable {
            /// Ordinary memory copied to a device. On a GPU that waits, too: the memory is pageable.
            case up
            /// A device's memory copied to ordinary memory, a number that is read included.
            case down
            /// An operator that looks at its own numbers.
            case operation
        }
        public var kind: Kind
        /// 0 for an operator.
        public var bytes: Int
        /// The operator, or the type and shape of what crossed.
        public var what: String
    }

    private let record = Mutex<[Event]>([])
    @TaskLocal static var current: DeviceTraffic?

    public init() {}

    /// All that happened so far, in order. Each event is a synchronisation.
    public var events: [Event] { record.withLock { $0 } }

    /// Bytes that crossed in one direction.
    public func bytes(_ kind: Event.Kind) -> Int { events.filter { $0.kind == kind }.reduce(0) { $0 + $1.bytes } }

    /// Runs `body` and counts what it does.
    public func counting<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Self.$current.withValue(self) { try body() }
    }

    /// The same for a body that suspends.
    public func counting<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
    ) async rethrows -> Result {
        try await Self.$current.withValue(self, operation: body, isolation: isolation)
    }

    static func count(_ kind: Event.Kind, _ what: @autoclosure () -> String, bytes: Int = 0) {
        guard let current else { return }
        let event = Event(kind: kind, bytes: bytes, what: what())
        current.record.withLock { $0.append(event) }
    }

    static func count(_ kind: Event.Kind, of tensor: Tensor) {
        count(kind, "\(tensor.dtype.rawValue) \(tensor.shape)", bytes: tensor.count * tensor.dtype.byteCount)
    }
}
