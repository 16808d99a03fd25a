import Diffusion
import Foundation
import LatentDiffusion
import TensorKit
import VisionXL

// Single passes of the networks: both memory formats of ours, and diffusers as it runs (row-major) and in channels last.
extension Bench {
    func networks(prior: URL?, into report: inout Report) throws {
        let python = PythonServer(device: device, threads: threads)
        report.python = report.python ?? python?.description
        let models = [
            ("built-in prior", prior, "no model: Models/builtin is not there"),
            ("tiny SDXL", goldenModel, "no golden tensors"),
        ]
        for (name, folder, absence) in models {
            guard let folder else {
                report.skip(.networks, "\(name): U-Net, encode, decode", absence)
                continue
            }
            for dtype in device.measuredTypes { try networks(name, folder, dtype, python, into: &report.table) }
            try load(name, folder, python, into: &report.table)
        }
    }

    private func networks(
        _ name: String, _ folder: URL, _ dtype: DType, _ python: PythonServer?, into table: inout Table
    ) throws {
        let (height, width, timestep) = (384, 640, 281)
        let ours = try [MemoryFormat.channelsLast, .contiguous].map {
            LatentDiffusionPrior(try LatentDiffusionModel(at: folder, dtype: dtype, device: device, format: $0))
        }
        let exchange = try Exchange()
        var random = RandomGenerator(seed: 1)
        let latents = try random.normal(ours[0].latentShape(frames: 1, height: height, width: width), device: device)
        let frames = try random.uniform([1, 3, height, width], device: device) * 2 - 1
        let latentsFile = try exchange.write(latents, as: "latents")
        let framesFile = try exchange.write(frames, as: "frames")

        func row(
            _ op: String, _ title: String, _ input: [String: Any],
            _ work: @escaping (LatentDiffusionPrior) throws -> Tensor
        ) throws {
            var sides: [Side] = ours.map { prior in { try seconds(on: device) { _ = try work(prior) } } }
            var names = ["ours, contiguous"]
            var notes = [""]
            if let python {
                let expected = try work(ours[0])
                for format in ["contiguous", "channels_last"] {
                    var request: [String: Any] = [
                        "op": op, "folder": folder.path, "format": format, "dtype": dtype.rawValue, "input": input,
                        "height": height,
                        "width": width, "timestep": timestep,
                    ]
                    names.append("diffusers, \(format == "contiguous" ? "contiguous (its default)" : "channels last")")
                    request["output"] = exchange.path("result")
                    try python.ask(request)
                    let theirs = try exchange.read("result", shape: expected.shape)
                    notes.append(String(format: "results differ by %.0e", try relativeDifference(expected, theirs)))
                    request["output"] = nil
                    let question = request
                    sides.append { try python.time(question) }
                }
            }
            let timings = try repetitions.alternate(sides)
            for (index, alternative) in names.enumerated() {
                table.add(
                    Row(
                        group: SpeedCommand.Group.networks.rawValue,
                        what: "\(name): \(title), \(dtype.rawValue), channels last",
                        size: "1x3x\(height)x\(width)", ours: timings[0], alternative: alternative,
                        theirs: timings[index + 1],
                        note: notes[index]))
            }
            if python == nil {
                table.add(
                    Row(
                        group: SpeedCommand.Group.networks.rawValue,
                        what: "\(name): \(title), \(dtype.rawValue), channels last",
                        size: "1x3x\(height)x\(width)", ours: timings[0], alternative: "diffusers",
                        note: "not measured: \(PythonServer.absence)"))
            }
        }
        try row("unet", "U-Net forward", latentsFile) { try $0.predictNoise(latents, timestep: timestep) }
        try row("encode", "encode", framesFile) { try $0.encode(frames, samplingWith: nil) }
        try row("decode", "decode", latentsFile) { try $0.decode(latents) }
    }

    private func load(_ name: String, _ folder: URL, _ python: PythonServer?, into table: inout Table) throws {
        var row = Row(
            group: SpeedCommand.Group.networks.rawValue, what: "\(name): model load", size: "U-Net and autoencoder",
            alternative: "diffusers")
        var sides: [Side] = [
            { try seconds(on: device) { _ = try LatentDiffusionModel(at: folder, dtype: .float32, device: device) } }
        ]
        if let python {
            let request: [String: Any] = [
                "op": "load", "folder": folder.path, "format": "contiguous", "dtype": "float32",
            ]
            sides.append { try python.time(request) }
            row.note = "files in the page cache, libraries already loaded"
        } else {
            row.note = "diffusers not measured: \(PythonServer.absence)"
        }
        let timings = try repetitions.alternate(sides)
        row.ours = timings[0]
        if timings.count > 1 { row.theirs = timings[1] }
        table.add(row)
    }
}
