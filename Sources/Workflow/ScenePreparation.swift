import Diffusion
import Foundation
import InverseProblems
import TensorKit
import VisionXL
import Weights

/// What the windows of a scene have in common: its noise, its numbers and its start. Made once, of the scene's first window.
struct ScenePreparation: Sendable {
    var record: Record
    var settings: Settings
    /// Nil where windows have nothing in common, or there is one window.
    var start: SceneStart?

    /// What is kept of it in a file; settings follow from it again.
    struct Record: Codable, Equatable {
        var noise: NoiseFigure
        /// Bits that the first window's values were rounded to.
        var roundedBits: Int?
    }

    /// The seed of all noise of a scene: the recipe's own for the first one.
    static func seed(_ seed: UInt64, scene: Int) -> UInt64 { seed &+ UInt64(scene) &* 0x9E37_79B9_7F4A_7C15 }
}

/// Facts of a window, with what the scene's first window said of the rounding where that is known already.
final class SceneFacts: Facts {
    let window: MeasurementFacts
    private let known: Int??
    /// What was told of the rounding, where a rule asked.
    private(set) var bits: Int?

    init(_ window: MeasurementFacts, bits: Int??) {
        (self.window, known) = (window, bits)
        self.bits = bits ?? nil
    }

    func noise() -> Double { window.noise() }
    func mixesPixels() -> Bool { window.mixesPixels() }
    func mixesFrames() -> Bool { window.mixesFrames() }
    func keepsPixelsInBlocks() -> Bool { window.keepsPixelsInBlocks() }
    func shrinks() -> Bool { window.shrinks() }
    func roundedBits() throws -> Int? {
        if let known { return known }
        bits = try window.roundedBits()
        return bits
    }
    func canEnlarge() -> Bool { window.canEnlarge() }
    func hasOwnEstimate() -> Bool { window.hasOwnEstimate() }
    func schedule() -> DDIMSchedule { window.schedule() }
    func decoderGain() -> Double? { window.decoderGain() }
}

extension ScenePreparation {
    private static let (first, inverted, key) = ("first", "inverted", "scene")

    /// Writes it beside and moves it into place.
    func write(to url: URL) throws {
        var tensors: [String: Tensor] = [:]
        if let start {
            tensors[Self.first] = try start.first.to(.cpu).contiguous()
            tensors[Self.inverted] = try start.inverted.to(.cpu).contiguous()
        }
        let text = String(decoding: try JSONEncoder().encode(record), as: UTF8.self)
        try SafetensorsWriter.write(tensors, metadata: [Self.key: text], to: url, overwrite: true)
    }

    /// What `write` wrote, but for the settings.
    static func read(_ url: URL, to device: Device) throws -> (record: Record, start: SceneStart?) {
        let file = try SafetensorsFile(at: url)
        let record = try JSONDecoder().decode(Record.self, from: Data((file.metadata[key] ?? "").utf8))
        guard file.entries[first] != nil else { return (record, nil) }
        return (
            record,
            SceneStart(
                first: try file.tensor(first).copied().to(device),
                inverted: try file.tensor(inverted).copied().to(device))
        )
    }
}
