import Foundation
import TensorKit

/// Where numbers come from.
struct Machine: Encodable, Sendable {
    var processor: String
    var cores: Int
    var engine: String

    static var current: Machine {
        Machine(processor: Processor.current.name, cores: ProcessInfo.processInfo.activeProcessorCount, engine: (try? Engine.load().version) ?? "unknown")
    }

    var description: String { "\(processor), \(cores) cores, PyTorch \(engine)" }
}
