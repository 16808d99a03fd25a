import Foundation

/// A thread that stays, and does one thing after another while its caller waits: cuDNN keeps what it has tried for each thread.
final class Worker: @unchecked Sendable {
    // The semaphores let either the caller or the thread see this.
    private var work: (() -> Void)?
    private let asked = DispatchSemaphore(value: 0)
    private let done = DispatchSemaphore(value: 0)

    init() {
        let thread = Thread { [self] in
            while true {
                asked.wait()
                work?()
                done.signal()
            }
        }
        thread.stackSize = 16 << 20
        thread.start()
    }

    func callAsFunction<Value>(_ body: () throws -> Value) throws -> Value {
        var result = Result<Value, any Error>.failure(BenchmarkError.message("The thread did nothing."))
        withoutActuallyEscaping(body) { body in
            work = { result = Result(catching: body) }
            asked.signal()
            done.wait()
            work = nil
        }
        return try result.get()
    }
}
