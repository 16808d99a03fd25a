import ArgumentParser
import Foundation
import LatentDiffusion
import TensorKit
import VisionXL

/// A number of bytes as people write it: 8G and 8GB are 8 000 000 000, 8GiB is 8 * 2^30, 512M, 1.5G.
struct MemorySize: Sendable, Equatable {
    var bytes: Int

    init?(_ text: String) {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let factors = ["K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1024, "Mi": 1_048_576, "Gi": 1_073_741_824, "Ti": 1_099_511_627_776]
        var unit = String(text.dropFirst(number.count).drop { $0 == " " })
        if unit.count > 1, unit.last == "B" { unit.removeLast() }
        guard let value = Double(number), let factor = factors.first(where: { $0.key.lowercased() == unit.lowercased() })?.value,
            value > 0, value * factor >= 1e6, value * factor < 1e15
        else { return nil }
        bytes = Int(value * factor)
    }
}

extension ModelOptions {
    /// What there is to plan with, before the model is opened.
    func memoryState(on device: Device) -> (budget: Int?, program: Int?) {
        // What the system says is left comes on top of what this process has taken.
        let taken = device == .cpu ? Device.residentMemory : nil
        return (memory?.bytes ?? device.availableMemory().map { $0 + (taken ?? 0) }, taken.map { $0 + Self.code })
    }

    /// What was seen to be mapped of the program's and the engine's files while it computes. Counted now it would be less or more: with large
    /// pages in its cache Linux maps more at once.
    private static let code = 160_000_000

    /// Reads what a memory plan needs from the model's headers.
    func modelMemory(on device: Device) throws -> ModelMemory {
        let url = try ModelLibrary.url(named: model)
        return try ModelMemory(at: url, dtype: dtype ?? device.runningType, device: device, variant: variant, autoencoder: autoencoderURL(of: url))
    }

    /// Refuses what cannot fit into the memory that was allowed.
    func check(_ plan: MemoryPlan, frames: Int) throws {
        guard memory != nil, !plan.fits, let budget = plan.budget else { return }
        throw CommandError.message(
            "--memory \(Usage.describe(bytes: budget)) does not suffice even for the smallest passes: about \(Usage.describe(bytes: plan.total)) are needed "
                + "(\(plan)); take more memory, \(Self.advice(frames)).")
    }

    /// Says what a restoration will need.
    func announce(_ plan: MemoryPlan, frames: Int, on device: Device) {
        Console.note("\(plan)")
        guard !plan.fits, let budget = plan.budget else { return }
        Console.note("Only \(Usage.describe(bytes: budget)) are free on \(device), so this may fail; better take \(Self.advice(frames)).")
    }

    private static func advice(_ frames: Int) -> String { "fewer frames together (--window, now \(frames)), smaller frames, or another --device" }
}
