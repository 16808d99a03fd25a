import Dispatch
import Foundation
import VideoIO
import Workflow

/// Ctrl-C, a polite kill, a closed terminal: the first asks the work to stop and clean up, the second ends the program on the spot.
enum Interruption {
    /// Runs `body` in a task that the first SIGINT, SIGTERM or SIGHUP cancels.
    static func run(_ body: sending @escaping () async throws -> Void) async -> Result<Void, any Error> {
        let count = Counter()
        let (interruptions, continuation) = AsyncStream.makeStream(of: Void.self)
        let heard = DispatchGroup()
        let sources = [SIGINT, SIGTERM, SIGHUP].filter { $0 != SIGHUP || !isIgnored($0) }.map { number in
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                if count.next() > 1 {
                    VideoWriter.discardAll()
                    _exit(ExitStatus.interrupted.rawValue)
                }
                continuation.yield()
            }
            // A signal that is ignored before somebody listens is lost: until then it ends the program, as it always does.
            heard.enter()
            source.setRegistrationHandler {
                #if canImport(Darwin)
                // kqueue sees what is ignored too. On Linux the source has a handler of its own, which this would undo.
                signal(number, SIG_IGN)
                #endif
                heard.leave()
            }
            source.resume()
            return source
        }
        await withCheckedContinuation { all in heard.notify(queue: .global()) { all.resume() } }
        let task = Task { try await body() }
        let listener = Task { for await _ in interruptions { task.cancel() } }
        defer { listener.cancel() }
        let result = await task.result
        for source in sources { source.cancel() }
        // Work that fails because it was cancelled failed for that reason, whatever it says.
        if count.value > 0, case .failure = result { return .failure(CancellationError()) }
        return result
    }

    /// nohup has closed its ears to hanging up, and it stays so.
    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        guard sigaction(number, nil, &action) == 0 else { return false }
        #if canImport(Darwin)
        let handler = action.__sigaction_u.__sa_handler
        #else
        let handler = action.__sigaction_handler.sa_handler
        #endif
        return handler.map { unsafeBitCast($0, to: Int.self) } == unsafeBitCast(SIG_IGN, to: Int.self)
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
