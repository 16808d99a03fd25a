import Synchronization

/// How many frames this process has decoded and brought to tensors: what a program does twice shows here.
public enum FrameCounts {
    private static let counts = Mutex((decoded: 0, converted: 0))

    public static var decoded: Int { counts.withLock { $0.decoded } }
    public static var converted: Int { counts.withLock { $0.converted } }

    static func countDecoded() { counts.withLock { $0.decoded += 1 } }
    static func countConverted() { counts.withLock { $0.converted += 1 } }
}
