import Foundation

/// Runs blocking work on a thread of its own, so that it neither starves the cooperative threads nor wanders between them: LibTorch
/// keeps a pool of workers for each thread that calls it.
///
/// `body` receives a check that throws `CancellationError` once the calling task is cancelled.
public func onThread<Value: Sendable>(
    _ body: @escaping @Sendable (_ checkCancellation: @escaping @Sendable () throws -> Void) throws -> Value
)
    async throws -> Value
{
    let flag = CancellationFlag()
    // A thread knows nothing of the task that waits for it.
    let traffic = DeviceTraffic.current
    return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
            let thread = Thread {
                continuation.resume(
                    with: Result {
                        try DeviceTraffic.$current.withValue(traffic) { try body { try flag.check() } }
                    })
            }
            thread.stackSize = 16 << 20
            thread.start()
        }
    } onCancel: {
        flag.set()
    }
}

private final class CancellationFlag: @unchecked Sendable {
    private let lock = NSLock()
    private var isSet = false
    func set() { lock.withLock { isSet = true } }
    func check() throws { if lock.withLock({ isSet }) { throw CancellationError() } }
}
