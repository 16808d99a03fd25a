import Foundation
import TensorKit

/// Where numbers come from.
public struct Machine: Encodable, Sendable {
    public var processor: String
    public var cores: Int
    /// The vector extensions that decide about speed.
    public var features: [String]
    public var memoryBytes: UInt64
    /// "PyTorch 2.15.0".
    public var engine: String

    public static var current: Machine {
        let processor = Processor.current
        return Machine(
            processor: processor.name, cores: ProcessInfo.processInfo.activeProcessorCount,
            features: ["avx2", "avx512f", "avx512_bf16", "amx_bf16"].filter(processor.features.contains),
            memoryBytes: ProcessInfo.processInfo.physicalMemory,
            engine: (try? Engine.load()).map { "PyTorch \($0.version)" } ?? "no engine")
    }

    public var description: String { "\(processor), \(cores) cores, \(engine)" }
}
