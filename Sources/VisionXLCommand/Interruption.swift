import Dispatch
import Foundation
import VideoIO
import Workflow

/// Ctrl-C, a polite kill, a closed terminal: the first asks the work to stop and clean up, the second ends the program on the spot.
enum Interruption {
    /// Runs `body` in a task that the first SIGINT, SIGTERM or SIGHUP cancels.
    static func run(_ body: sending @escaping () async throws -> Void) async -> Result<Void, any Error> {
        let task = Task { try await body() }
        let count = Counter()
        let sources = [SIGINT, SIGTERM, SIGHUP].compactMap { number -> (any DispatchSourceSignal)? in
            // nohup has closed its ears to hanging up, and it stays so.
            let previous = signal(number, SIG_IGN)
            if number == SIGHUP,
                previous.map({ unsafeBitCast($0, to: Int.self) }) == unsafeBitCast(SIG_IGN, to: Int.self)
            {
                return nil
            }
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                if count.next() > 1 {
                    VideoWriter.discardAll()
                    _exit(ExitStatus.interrupted.rawValue)
                }
                task.cancel()
            }
            source.resume()
            return source
        }
        let result = await task.result
        for source in sources { source.cancel() }
        // Work that fails because it was cancelled failed for that reason, whatever it says.
        if count.value > 0, case .failure = result { return .failure(CancellationError()) }
        return result
    }

    private final class Counter: @unchecked Sendable {
        private let lock = NSLock()
        private var count = 0
        var value: Int { lock.withLock { count } }
        func next() -> Int {
            lock.withLock {
                count += 1
                return count
            }
        }
    }
}
