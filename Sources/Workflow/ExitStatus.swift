/// How the program ends, for whoever started it: a shell, a queue, a cluster.
public enum ExitStatus: Int32, Sendable, CaseIterable {
    case done = 0
    case failed = 1
    /// Some of several files failed, the others are done.
    case someFailed = 2
    /// What was looked for is not there.
    case nothingFound = 3
    /// Failed in a way that no second try will mend.
    case neverAgain = 42
    /// The command line says what cannot be.
    case usage = 64
    /// Stopped in good order before the end: the same command goes on.
    case stopped = 75
    case interrupted = 130
}
