import ArgumentParser
import Diffusion
import Foundation
import InverseProblems
import LatentDiffusion
import Synchronization
import TensorKit
import VisionXL
import Workflow

// SDXL's architecture at full size. Its weights are random: what they are takes no time.
extension Bench {
    /// Networks against diffusers', and on a GPU whole restorations against the authors' way.
    func fullSize(
        model folder: URL, passes: [SpeedCommand.Pass], sizes: [FrameSize], frames: Int, wholeVideos: Bool,
        into report: inout Report
    ) throws {
        let python = PythonServer(device: device, threads: threads)
        report.python = report.python ?? python?.description
        if let size = sizes.first { try networks(folder, passes, size, python, into: &report.table) }
        guard wholeVideos else {
            report.skip(.sdxl, "\(folder.lastPathComponent): \(frames) frames", "takes hours on a CPU; --whole-videos")
            return
        }
        for size in sizes { try wholeVideo(folder, size, frames: frames, python, into: &report.table) }
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

    /// Whole restorations within 12 GB, the paper's steps and the default's, against the authors' way; without loading the model.
    private func wholeVideo(
        _ folder: URL, _ size: FrameSize, frames: Int, _ python: PythonServer?, into table: inout Table
    ) throws {
        let exchange = try Exchange()
        var random = RandomGenerator(seed: 1)
        let frame = try random.uniform([1, 3, size.height, size.width]) * 2 - 1
        let video = try Tensor.concatenate((0..<frames).map { try frame.rolled(3 * $0, along: 3) }, along: 0)
        let problem = try Problem(task: "deblur").operator(height: size.height, width: size.width)
        let measurement = try problem.apply(video)
        let given = try VideoMeasurement(measurement.to(device), operator: problem, noise: .none)
        let request: [String: Any] = [
            "op": "authors", "folder": folder.path, "dtype": (device == .cpu ? DType.float32 : .float16).rawValue,
            "task": "deblur",
            "input": try exchange.write(measurement, as: "measurement"),
        ]
        let ways = [("the paper's", RestorationOptions.paper), ("the default's", RestorationOptions())]
        var ours = [[Double]](repeating: [], count: ways.count)
        var peaks = [Int](repeating: 0, count: ways.count)
        var theirs = [Double]()
        var theirPeak = 0.0
        for _ in 0..<repetitions.fewest {
            // What one side holds of a GPU must not be counted as the other's.
            if let python {
                let answer = try python.ask(request)
                theirs.append(answer["seconds"] as? Double ?? .nan)
                theirPeak = max(theirPeak, answer["peak"] as? Double ?? 0)
                try python.ask(["op": "forget"])
            }
            for (index, (_, options)) in ways.enumerated() {
                let (time, peak) = try restore(folder, options, size, frames: frames) { solver, progress in
                    _ = try solver.restore(given, progress: progress)
                }
                ours[index].append(time)
                peaks[index] = max(peaks[index], peak)
            }
        }
        func gigabytes(_ bytes: Double) -> String { String(format: "%.1f GB", bytes / 1e9) }
        for (index, (name, _)) in ways.enumerated() {
            table.add(
                Row(
                    group: SpeedCommand.Group.sdxl.rawValue,
                    what: "\(folder.lastPathComponent): deblur, \(name) steps, within 12 GB",
                    size: "\(frames)x3x\(size)", ours: Timing(samples: ours[index]),
                    alternative: "the authors' way (reference/authors.py)",
                    theirs: python == nil ? nil : Timing(samples: theirs),
                    note: "peak memory \(gigabytes(Double(peaks[index])))"
                        + (python == nil ? "; \(PythonServer.absence)" : ", theirs \(gigabytes(theirPeak))")))
        }
    }

    /// Seconds and peak memory of one restoration with a model that is loaded for it; a GPU's memory without what was in use before.
    private func restore(
        _ folder: URL, _ options: RestorationOptions, _ size: FrameSize, frames: Int,
        _ body: (Solver<LatentDiffusionPrior>, @escaping RestorationProgress.Handler) throws -> Void
    ) throws -> (seconds: Double, peak: Int) {
        let used = { [device] in device.memory().map { $0.total - $0.free } }
        PeakMemory.reset()
        let before = used() ?? 0
        let session = try ModelSession(ModelChoice(folder.path), Execution(device: device, memory: 12_000_000_000))
        var solver = try session.solver(session.load(), options: options)
        solver.passes = session.plan(frames: frames, height: size.height, width: size.width).passes
        // The engine keeps what it freed, so that a glance now and then sees a GPU's peak.
        let peak = Mutex(0)
        let time = try seconds(on: device) {
            try body(solver) { _ in if let now = used() { peak.withLock { $0 = max($0, now - before) } } }
        }
        let seen = peak.withLock { $0 }
        return (time, seen > 0 ? seen : PeakMemory.bytes ?? 0)
    }
}

/// Height and width of frames, `768x1280` in words.
struct FrameSize: CustomStringConvertible {
    var height: Int
    var width: Int

    var description: String { "\(height)x\(width)" }
    /// A quarter of the pixels, in whole latents.
    var quarter: FrameSize { FrameSize(height: max(height / 2 / 64, 1) * 64, width: max(width / 2 / 64, 1) * 64) }
}

extension FrameSize: ExpressibleByArgument {
    init?(argument: String) {
        let sides = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard sides.count == 2, let height = sides[0], let width = sides[1], height > 0, width > 0, height % 64 == 0,
            width % 64 == 0
        else {
            return nil
        }
        self.init(height: height, width: width)
    }
}
