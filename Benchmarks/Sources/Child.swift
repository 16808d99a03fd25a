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
    /// - Throws: `BenchmarkError` where it cannot be started, or where it fails and must not.
    static func time(_ words: [String], mayFail: Bool = false) throws -> Double {
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
        var environment: [UnsafeMutablePointer<CChar>?] =
            ProcessInfo.processInfo.environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + environment { free(text) } }
        let clock = ContinuousClock()
        let began = clock.now
        var id = pid_t()
        let failure = posix_spawnp(&id, words[0], &actions, nil, &arguments, &environment)
        guard failure == 0 else {
            throw BenchmarkError.message("\(words[0]) could not be started: \(String(cString: strerror(failure))).")
        }
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0 && errno == EINTR {}
        let seconds = (clock.now - began) / .seconds(1)
        guard status == 0 || mayFail else {
            throw BenchmarkError.message("`\(words.joined(separator: " "))` failed (status \(status)).")
        }
        return seconds
    }
}
