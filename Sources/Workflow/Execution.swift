import TensorKit

/// Where and how a recipe is run: what the result does not depend on but for rounding, and what no recipe holds.
public struct Execution: Sendable, Equatable {
    /// A GPU where there is one when nil.
    public var device: Device?
    /// Of the CPU, for this process; all cores when nil.
    public var threads: Int?
    /// Bytes of the device's memory to keep to; what is free when nil.
    public var memory: Int?
    /// Frames that go through a network together, whatever the memory; as many as fit and keep the device busy when nil.
    public var framesPerPass: Int?
    /// Whether outputs that exist are replaced.
    public var overwrites: Bool
    /// Where windows lie until the result is whole; beside the output when nil.
    public var workFolder: String?
    /// Whether what an earlier run left there is thrown away.
    public var restarts = false
    /// Whether that folder is gone when the run has ended, however it ends, so that none goes on with it.
    public var forgetsWork = false
    /// Whether the folder stays when the result is in place.
    public var keepsWork = false

    public init(
        device: Device? = nil, threads: Int? = nil, memory: Int? = nil, framesPerPass: Int? = nil,
        overwrites: Bool = false
    ) {
        self.device = device
        self.threads = threads
        self.memory = memory
        self.framesPerPass = framesPerPass
        self.overwrites = overwrites
    }
}
