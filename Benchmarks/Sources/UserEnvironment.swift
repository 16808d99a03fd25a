import Foundation

/// The environment as it was before the engine was opened, which sets in it what its libraries read. Other programs are measured in this one.
enum UserEnvironment {
    static let atStart = ProcessInfo.processInfo.environment

    /// With the number of threads that both sides are given.
    static var forOthers: [String: String] {
        let now = ProcessInfo.processInfo.environment
        return atStart.merging(
            ["OMP_NUM_THREADS", "MKL_NUM_THREADS"].compactMap { name in now[name].map { (name, $0) } }
        ) {
            $1
        }
    }
}
