import ArgumentParser
import Diffusion
import Foundation
import LatentDiffusion
import TensorKit
import VisionXL

struct MemoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "memory", abstract: "Measure the memory of the networks' passes, beside what is predicted.",
        discussion: """
            On a CPU: the largest resident size during a pass, less that before it, with freed memory given back. Each pass runs once unmeasured.
            Networks: the built-in prior, the tiny SDXL of the golden tensors, and random weights with SDXL's autoencoder and a U-Net of 2/5 of its
            widths. Autoencoders run whole and in tiles; tiles say, too, how far
            their result is from the whole's.
            """)

    @OptionGroup var common: CommonOptions

    @Option(help: "Side of the largest square frames, in pixels.")
    var side = 512

    @Option(
        help: "The type that the networks run in.",
        transform: { text in
            guard let dtype = DType(rawValue: text), dtype.isFloatingPoint else {
                throw ValidationError("'\(text)' is no type to compute in.")
            }
            return dtype
        })
    var dtype = DType.float32

    mutating func run() async throws {
        let device = try common.prepareEngine()
        guard device == .cpu, PeakMemory.reset() else {
            throw BenchmarkError.message("Only a CPU's memory under Linux can be measured.")
        }
        var machine = try Circumstances(device: device, revision: common.revision)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "visionxl-memory-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        Heap.returnLargeBlocks()
        // The autoencoder's widths are SDXL's, the U-Net's less than half.
        var architecture = StableDiffusionXL.full
        (architecture.channels, architecture.transformerLayers) = ([128, 256, 512], [0, 2, 2])
        try RandomModel(architecture, seed: 1, dtype: .float32).write(to: folder)
        let models = [("built-in prior", common.modelFolder), ("tiny SDXL", goldenModel), ("random SDXL", folder)]
        var rows: [MemoryRow] = []
        for case (let name, let url?) in models {
            let memory = try ModelMemory(at: url, dtype: dtype)
            let model = try LatentDiffusionModel(at: url, dtype: dtype)
            for size in [(side / 2, side / 2), (side, side)] {
                rows += try measure(name, model, memory, height: size.0, width: size.1)
            }
        }
        machine.loadAfter = Circumstances.load
        print(machine.description + "\n")
        print(
            markdownTable(
                ["network", "pass", "size", "predicted", "measured", "ratio", "time", "against the whole"],
                rows.map(\.cells)))
        if let json = common.json { try writeJSON(rows, to: json) }
    }

    private func measure(
        _ name: String, _ model: LatentDiffusionModel, _ memory: ModelMemory, height: Int, width: Int
    ) throws -> [MemoryRow] {
        let prior = LatentDiffusionPrior(model)
        var random = RandomGenerator(seed: 1)
        let frame = try random.normal([1, 3, height / 8, width / 8]).resizedBicubic(height: height, width: width)
            .clamped(to: -1...1)
        let latents = try prior.encode(frame, samplingWith: nil)
        var rows: [MemoryRow] = []
        func row(
            _ pass: String, predicted: Int, against whole: Tensor? = nil, _ body: () throws -> Tensor
        ) throws -> Tensor {
            _ = try body()
            PeakMemory.reset()
            let before = PeakMemory.bytes ?? 0
            let began = ContinuousClock.now
            let result = try body()
            let time = (ContinuousClock.now - began) / .seconds(1)
            let row = MemoryRow(
                network: name, pass: pass, size: "\(height)x\(width)", predictedBytes: predicted,
                measuredBytes: (PeakMemory.bytes ?? 0) - before,
                seconds: time, decibels: try whole.map { try decibels(result, $0) })
            note("  " + row.cells.joined(separator: "; "))
            rows.append(row)
            return result
        }
        _ = try row("U-Net", predicted: memory.prediction(count: 1, height: height, width: width)) {
            try prior.predictNoise(latents, timestep: 281)
        }
        let tiles = model.autoencoder.tileSizes.isEmpty ? [] : [height / 4]
        let encoded = try row("encode", predicted: memory.encoding(frames: 1, height: height, width: width)) {
            try prior.encode(frame, samplingWith: nil)
        }
        for tile in tiles {
            _ = try row(
                "encode in tiles of \(tile)",
                predicted: memory.encoding(frames: 1, height: height, width: width, tile: tile), against: encoded
            ) {
                try prior.encode(frame, samplingWith: nil, CodecPass(tile: tile))
            }
        }
        let decoded = try row("decode", predicted: memory.decoding(frames: 1, height: height, width: width)) {
            try prior.decode(latents)
        }
        for tile in tiles {
            _ = try row(
                "decode in tiles of \(tile)",
                predicted: memory.decoding(frames: 1, height: height, width: width, tile: tile), against: decoded
            ) {
                try prior.decode(latents, CodecPass(tile: tile))
            }
        }
        return rows
    }

    /// 10 log10(range^2 / mean square error), the range being that of `whole`.
    private func decibels(_ found: Tensor, _ whole: Tensor) throws -> Double {
        let range = try whole.maximum().item() - whole.minimum().item()
        return 10 * log10(range * range / max(try (found - whole).squared().mean().item(), 1e-30))
    }
}

/// A pass, what it was thought to need and what it did.
struct MemoryRow: Encodable {
    var network: String
    var pass: String
    var size: String
    var predictedBytes: Int
    var measuredBytes: Int
    var seconds: Double
    var decibels: Double?

    var cells: [String] {
        func megabytes(_ bytes: Int) -> String { String(format: "%.0f MB", Double(bytes) / 1e6) }
        return [
            network, pass, size, megabytes(predictedBytes), megabytes(measuredBytes),
            String(format: "%.2f", Double(predictedBytes) / Double(max(measuredBytes, 1))),
            String(format: "%.2f s", seconds),
            decibels.map { String(format: "%.0f dB", $0) } ?? "",
        ]
    }
}
