import Synchronization

/// Passes values one at a time from one task to another, and makes the faster of the two wait.
///
/// At most one value is held in between, so memory does not grow however slow the taker is.
/// A cancelled task that waits here throws `CancellationError` at once.
final class Handoff<Element: Sendable>: Sendable {
    private struct State {
        var element: Element?
        /// Set once; nothing is accepted after it.
        var end: Result<Void, any Error>?
        var changes = 0
        /// Whoever waits for something to change. All are woken by every change: there are never more than a few.
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    /// Returns when the value has been put down, which is as soon as the one before it has been taken.
    /// Throws the end's error if the other side ended with one, `CancellationError` if it merely ended.
    func send(_ element: Element) async throws {
        try await retryingOnChange { (state) -> Void? in
            switch state.end {
            case .failure(let error): throw error
            case .success: throw CancellationError()
            case nil: break
            }
            guard state.element == nil else { return nil }
            state.element = element
            return ()
        }
    }

    /// The next value, or nil after the end. A value put down before the end is still delivered.
    func next() async throws -> Element? {
        try await retryingOnChange { (state) -> Element?? in
            if let element = state.element {
                state.element = nil
                return .some(element)
            }
            switch state.end {
            case .failure(let error): throw error
            case .success: return .some(nil)
            case nil: return nil
            }
        }
    }

    /// Ends the stream, with an error or without; the first call counts.
    func finish(_ end: Result<Void, any Error> = .success(())) {
        change { state in
            if state.end == nil { state.end = end }
        }
    }

    /// Tries `attempt` until it returns something, sleeping from one change to the next.
    private func retryingOnChange<T: Sendable>(
        _ attempt: @Sendable (inout State) throws -> T?
    ) async throws -> T {
        try await withTaskCancellationHandler {
            while true {
                // Read first, so that a change from here on, a cancellation included, is not slept through.
                let seen = state.withLock { $0.changes }
                try Task.checkCancellation()
                if let outcome = try state.withLock({ try attempt(&$0) }) {
                    change { _ in }
                    return outcome
                }
                await sleepUntilChange(since: seen)
            }
        } onCancel: {
            change { _ in }
        }
    }

    private func sleepUntilChange(since seen: Int) async {
        await withCheckedContinuation { continuation in
            let changed = state.withLock { state in
                if state.changes != seen { return true }
                state.waiters.append(continuation)
                return false
            }
            if changed { continuation.resume() }
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let waiters = state.withLock { state in
            body(&state)
            state.changes += 1
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
