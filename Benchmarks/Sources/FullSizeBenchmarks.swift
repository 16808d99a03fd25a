import ArgumentParser
import Diffusion
import Foundation
import InverseProblems
import LatentDiffusion
import TensorKit
import VisionXL
import Workflow

// SDXL's architecture at full size. Its weights are random: what they are takes no time.
extension Bench {
    /// Networks against diffusers'.
    func fullSize(
        model folder: URL, passes: [SpeedCommand.Pass], size: FrameSize, into report: inout Report
    ) throws {
        let python = PythonServer(device: device, threads: threads)
        report.python = report.python ?? python?.description
        try networks(folder, passes, size, python, into: &report.table)
    }

    /// One pass of each network. Two copies of the weights do not fit most machines, so each side loads its own anew for every run, and what is
    /// not measured before a run is a pass of a quarter of the size.
    private func networks(
        _ folder: URL, _ passes: [SpeedCommand.Pass], _ size: FrameSize, _ python: PythonServer?,
        into table: inout Table
    ) throws {
        let exchange = try Exchange()
        let operations = passes.map(\.rawValue)
        // What each side runs in: the other one in what its users choose.
        let theirType = device == .cpu ? DType.float32 : .float16
        let types = device == .cpu ? device.measuredTypes : [device.runningType]
        for dtype in types {
            var ours = [String: [Double]]()
            var theirs = [String: [Double]]()
            for _ in 0..<repetitions.fewest {
                for (op, time) in try ourPasses(folder, dtype, size, operations) { ours[op, default: []].append(time) }
                // Weights that the C library keeps for later would not leave enough for the other side's.
                if device == .cpu { PeakMemory.reset() }
                guard let python else { continue }
                for op in operations {
                    theirs[op, default: []].append(
                        try theirPass(op, folder, theirType, size, exchange, python))
                }
                try python.ask(["op": "forget"])
            }
            let isChannelsLast = MemoryFormat.fastest(for: dtype, on: device, channels: 128) == .channelsLast
            let format = isChannelsLast ? "channels last" : "contiguous"
            let titles = ["unet": "U-Net forward", "decode": "decode", "encode": "encode"]
            for op in operations {
                guard let samples = ours[op] else { continue }
                table.add(
                    Row(
                        group: SpeedCommand.Group.sdxl.rawValue,
                        what: "\(folder.lastPathComponent): \(titles[op] ?? op), \(dtype.rawValue), \(format)",
                        size: "1x3x\(size)",
                        ours: Timing(samples: samples), alternative: "diffusers, \(theirType.rawValue), contiguous",
                        theirs: theirs[op].map(Timing.init),
                        note: python == nil ? "not measured: \(PythonServer.absence)" : ""))
            }
        }
    }

    private func ourPasses(
        _ folder: URL, _ dtype: DType, _ size: FrameSize, _ operations: [String]
    ) throws -> [(String, Double)] {
        let prior = LatentDiffusionPrior(try LatentDiffusionModel(at: folder, dtype: dtype, device: device))
        return try operations.map { op in
            var time = 0.0
            for size in [size.quarter, size] {
                var random = RandomGenerator(seed: 1)
                let latents = try random.normal(
                    prior.latentShape(frames: 1, height: size.height, width: size.width), device: device)
                let frames = try random.uniform([1, 3, size.height, size.width], device: device) * 2 - 1
                time = try seconds(on: device) {
                    switch op {
                    case "unet": _ = try prior.predictNoise(latents, timestep: 281)
                    case "decode": _ = try prior.decode(latents)
                    default: _ = try prior.encode(frames, samplingWith: nil)
                    }
                }
            }
            return (op, time)
        }
    }

    private func theirPass(
        _ op: String, _ folder: URL, _ dtype: DType, _ size: FrameSize, _ exchange: Exchange, _ python: PythonServer
    ) throws -> Double {
        var seconds = 0.0
        for size in [size.quarter, size] {
            var random = RandomGenerator(seed: 1)
            let shape = op == "encode" ? [1, 3, size.height, size.width] : [1, 4, size.height / 8, size.width / 8]
            seconds = try python.time([
                "op": op, "folder": folder.path, "format": "contiguous", "dtype": dtype.rawValue,
                "input": try exchange.write(random.uniform(shape) * 2 - 1, as: "\(op)-\(size)"), "height": size.height,
                "width": size.width,
                "timestep": 281,
            ])
        }
        return seconds
    }

    /// Whole restorations within 12 GB, the default's steps and the paper's, against the authors' way; without loading the model.
    ///
    /// The default's are measured as a new process does them, again by a thread that knows its convolutions, and by one that takes them as
    /// cuDNN's rules of thumb say. What one side measured is kept before the next begins.
    func wholeVideo(_ folder: URL, _ size: FrameSize, frames: Int, into report: inout Report) throws {
        let exchange = try Exchange()
        var random = RandomGenerator(seed: 1)
        let frame = try random.uniform([1, 3, size.height, size.width]) * 2 - 1
        let video = try Tensor.concatenate((0..<frames).map { try frame.rolled(3 * $0, along: 3) }, along: 0)
        let problem = try Problem(task: "deblur").operator(height: size.height, width: size.width)
        let measurement = try problem.apply(video)
        let given = try VideoMeasurement(measurement.to(device), operator: problem, noise: .none)
        let shape = "\(frames)x3x\(size)"
        var untuned = Kernels.usual(on: device)
        untuned.autotunesConvolutions = false
        let (tunedThread, untunedThread) = (Worker(), Worker())
        let ways: [(name: String, options: RestorationOptions, kernels: Kernels?, thread: Worker)] = [
            ("the default's steps, the first time", RestorationOptions(), nil, tunedThread),
            ("the default's steps, once more", RestorationOptions(), nil, tunedThread),
            ("the paper's steps", .paper, nil, tunedThread),
            ("the default's steps, without the autotuner", RestorationOptions(), untuned, untunedThread),
        ]
        var timings: [String: Timing] = [:]
        for way in ways {
            var (samples, peak) = ([Double](), 0)
            // The first time comes once.
            for _ in 0..<(way.name.hasSuffix("first time") ? 1 : repetitions.fewest) {
                let found = try way.thread {
                    try Kernels.$chosen.withValue(way.kernels) {
                        try restore(folder, way.options, size, frames: frames) { solver, progress in
                            _ = try solver.restore(given, progress: progress)
                        }
                    }
                }
                samples.append(found.seconds)
                peak = max(peak, found.peak)
            }
            timings[way.name] = Timing(samples: samples)
            report.table.add(
                Row(
                    group: SpeedCommand.Group.videos.rawValue,
                    what: "\(folder.lastPathComponent): deblur, \(way.name), within 12 GB", size: shape,
                    ours: timings[way.name], alternative: "", note: "peak memory \(gigabytes(Double(peak)))"))
        }
        let authors = "the authors' way (reference/authors.py)"
        guard let python = PythonServer(device: device, threads: threads) else {
            report.skip(.videos, authors, PythonServer.absence)
            return
        }
        report.python = report.python ?? python.description
        let request: [String: Any] = [
            "op": "authors", "folder": folder.path, "dtype": (device == .cpu ? DType.float32 : .float16).rawValue,
            "task": "deblur", "input": try exchange.write(measurement, as: "measurement"),
        ]
        var (samples, peak) = ([Double](), 0.0)
        for _ in 0..<repetitions.fewest {
            let answer = try python.ask(request)
            samples.append(answer["seconds"] as? Double ?? .nan)
            peak = max(peak, answer["peak"] as? Double ?? 0)
            try python.ask(["op": "forget"])
        }
        for way in ways {
            report.table.add(
                Row(
                    group: SpeedCommand.Group.videos.rawValue,
                    what: "\(folder.lastPathComponent): deblur, \(way.name), within 12 GB", size: shape,
                    ours: timings[way.name], alternative: authors, theirs: Timing(samples: samples),
                    note: "their peak memory \(gigabytes(peak))"))
        }
    }

    private func gigabytes(_ bytes: Double) -> String { String(format: "%.1f GB", bytes / 1e9) }

    /// Seconds and peak memory of one restoration with a model that is loaded for it; a GPU's memory without what was in use before.
    private func restore(
        _ folder: URL, _ options: RestorationOptions, _ size: FrameSize, frames: Int,
        _ body: (Solver<LatentDiffusionPrior>, @escaping RestorationProgress.Handler) throws -> Void
    ) throws -> (seconds: Double, peak: Int) {
        PeakMemory.reset()
        let before = device.memory().map { $0.total - $0.free } ?? 0
        let session = try ModelSession(ModelChoice(folder.path), Execution(device: device, memory: 12_000_000_000))
        var solver = try session.solver(session.load(), options: options)
        solver.passes = session.plan(frames: frames, height: size.height, width: size.width).passes
        let gauge = MemoryGauge(device)
        let time = try seconds(on: device) { try body(solver) { _ in gauge.read() } }
        gauge.read(atOnce: true)
        return (time, gauge.peak.map { $0 - before } ?? PeakMemory.bytes ?? 0)
    }
}

/// Height and width of frames, `768x1280` in words.
struct FrameSize: CustomStringConvertible {
    var height: Int
    var width: Int

    var description: String { "\(height)x\(width)" }
    /// A quarter of the pixels, in whole latents.
    var quarter: FrameSize { FrameSize(height: max(height / 2 / 64, 1) * 64, width: max(width / 2 / 64, 1) * 64) }
    /// Whether SDXL's networks take it without padding.
    var suitsSDXL: Bool { height % 64 == 0 && width % 64 == 0 }
}

extension FrameSize: ExpressibleByArgument {
    init?(argument: String) {
        let sides = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard sides.count == 2, let height = sides[0], let width = sides[1], height > 0, width > 0, height % 8 == 0,
            width % 8 == 0
        else {
            return nil
        }
        self.init(height: height, width: width)
    }
}
