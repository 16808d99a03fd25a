import Foundation

/// Programs that are timed as a whole.
enum Child {
    /// The `visionxl` beside this program, or VISIONXL.
    static var program: String {
        if let path = ProcessInfo.processInfo.environment["VISIONXL"], !path.isEmpty { return path }
        let own = URL(fileURLWithPath: CommandLine.arguments.first ?? "").resolvingSymlinksInPath()
        return own.deletingLastPathComponent().appendingPathComponent("visionxl").path
    }

    /// Runs a program to its end and returns the seconds that took.
    /// - Parameter changes: of the environment; nil takes a variable out.
    /// - Throws: `BenchmarkError` where it cannot be started, or where it fails and must not.
    static func time(
        _ words: [String], mayFail: Bool = false, environment changes: [String: String?] = [:]
    ) throws -> Double {
        try times([words], mayFail: mayFail, environment: changes)[0]
    }

    /// Runs programs at once, each to its end, and returns the seconds of each.
    static func times(
        _ commands: [[String]], mayFail: Bool = false, environment changes: [String: String?] = [:]
    ) throws -> [Double] {
        let clock = ContinuousClock()
        var running: [(id: pid_t, began: ContinuousClock.Instant)] = []
        // What went wrong first; the others are waited for all the same.
        var failure: BenchmarkError?
        for words in commands {
            let began = clock.now
            do {
                running.append((try start(words, changes), began))
            } catch {
                failure = error
                break
            }
        }
        var seconds = [Double](repeating: .nan, count: running.count)
        var waiting = Array(running.indices)
        while !waiting.isEmpty {
            // Whichever of several ends first must be seen when it ends.
            let isLast = waiting.count == 1
            for index in waiting {
                var status: Int32 = 0
                let ended = waitpid(running[index].id, &status, isLast ? 0 : WNOHANG)
                if ended == 0 || ended < 0 && errno == EINTR { continue }
                seconds[index] = (clock.now - running[index].began) / .seconds(1)
                waiting.removeAll { $0 == index }
                if (ended < 0 || status != 0) && !mayFail {
                    let line = commands[index].joined(separator: " ")
                    failure = failure ?? .message("`\(line)` failed (status \(status)).")
                }
            }
            if !isLast { usleep(1000) }
        }
        if let failure { throw failure }
        return seconds
    }

    private static func start(_ words: [String], _ changes: [String: String?]) throws(BenchmarkError) -> pid_t {
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        #else
        var actions = posix_spawn_file_actions_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor in [STDOUT_FILENO, STDERR_FILENO] {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_WRONLY, 0)
        }
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        // Not `environ`, a global variable that Swift's checks of concurrency refuse on some systems.
        var variables = ProcessInfo.processInfo.environment
        for (name, value) in changes { variables[name] = value }
        var environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + environment { free(text) } }
        var id = pid_t()
        let failure = posix_spawnp(&id, words[0], &actions, nil, &arguments, &environment)
        guard failure == 0 else {
            throw .message("\(words[0]) could not be started: \(String(cString: strerror(failure))).")
        }
        return id
    }
}
