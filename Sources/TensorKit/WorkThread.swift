import Foundation
import Synchronization

/// Runs blocking work away from the cooperative threads, which it would starve and wander between: LibTorch keeps a pool of workers for each
/// thread that calls it.
///
/// Work of a GPU is done on one thread per device, which stays: cuDNN keeps for each thread what it has found out about convolutions and
/// attention. It is done in the order in which it is given; none of it may wait for other work of the device. Work of the CPU has a thread of
/// its own, which ends: workers that are kept make another thread's small operators take longer.
///
/// `body` receives a check that throws `CancellationError` once the calling task is cancelled.
public func onThread<Value: Sendable>(
    of device: Device = .cpu,
    _ body: @escaping @Sendable (_ checkCancellation: @escaping @Sendable () throws -> Void) throws -> Value
)
    async throws -> Value
{
    let flag = CancellationFlag()
    // A thread knows nothing of the task that waits for it.
    let traffic = DeviceTraffic.current
    return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
            let work = { @Sendable in
                continuation.resume(
                    with: Result {
                        try DeviceTraffic.$current.withValue(traffic) { try body { try flag.check() } }
                    })
            }
            if device == .cpu {
                startThread(work)
            } else {
                DeviceThread.of(device).add(work)
            }
        }
    } onCancel: {
        flag.set()
    }
}

private func startThread(_ work: @escaping @Sendable () -> Void) {
    let thread = Thread(block: work)
    thread.stackSize = 16 << 20
    thread.start()
}

/// A thread that does one piece of work after another, for as long as the process lives.
private final class DeviceThread: Sendable {
    private static let threads = Mutex<[Device: DeviceThread]>([:])

    static func of(_ device: Device) -> DeviceThread {
        threads.withLock { threads in
            if let thread = threads[device] { return thread }
            let thread = DeviceThread()
            threads[device] = thread
            return thread
        }
    }

    private let work = Mutex<[@Sendable () -> Void]>([])
    private let isThere = DispatchSemaphore(value: 0)

    private init() {
        startThread { [self] in
            while true {
                isThere.wait()
                let next = work.withLock { $0.removeFirst() }
                // What Foundation lends to a thread is given back after each piece.
                autoreleasing(next)
            }
        }
    }

    func add(_ next: @escaping @Sendable () -> Void) {
        work.withLock { $0.append(next) }
        isThere.signal()
    }
}

private func autoreleasing(_ body: () -> Void) {
    #if canImport(ObjectiveC)
    autoreleasepool(invoking: body)
    #else
    body()
    #endif
}

private final class CancellationFlag: @unchecked Sendable {
    private let lock = NSLock()
    private var isSet = false
    func set() { lock.withLock { isSet = true } }
    func check() throws { if lock.withLock({ isSet }) { throw CancellationError() } }
}
