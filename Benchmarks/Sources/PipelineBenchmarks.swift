import Diffusion
import Foundation
import InverseProblems
import LatentDiffusion
import TensorKit
import VisionXL

// Algorithm 1 from the measurement to the frames.
extension Bench {
    /// - Parameter name: the model's, in the table.
    func pipeline(
        _ name: String, model folder: URL, tasks: [String], truth: Tensor, into report: inout Report
    ) async throws {
        let (frames, height, width) = (truth.size(0), truth.size(2), truth.size(3))
        // The script's defaults: the paper's with a bicubic start and the final step.
        var options = RestorationOptions.paper
        options.upsampling = .bicubic
        options.finalConsistencySteps = 10
        for task in tasks {
            let problem = try Problem(task: task).operator(height: height, width: width)
            let measurement = try problem.apply(truth)
            let exchange = try Exchange()
            let film = exchange.path("measurement.mkv")
            try await Film.write(measurement, to: film, bitDepth: 16)
            try measure(
                name, folder, task, measurement, film, exchange, "\(frames)x3x\(height)x\(width)", options, problem,
                into: &report)
        }
    }

    private func measure(
        _ name: String, _ folder: URL, _ task: String, _ measurement: Tensor, _ film: String, _ exchange: Exchange,
        _ size: String,
        _ options: RestorationOptions, _ problem: any LinearOperator, into report: inout Report
    ) throws {
        // A process of its own, whose memory is the pipeline's alone.
        let python = PythonServer(device: device, threads: threads)
        report.python = report.python ?? python?.description
        let dtype = device.runningType
        let prior = LatentDiffusionPrior(try LatentDiffusionModel(at: folder, dtype: dtype, device: device))
        let solver = Solver(prior: prior, options: options)
        let given = try VideoMeasurement(measurement.to(device), operator: problem, noise: .none)
        let shape = given.videoShape
        // The noise that the solver makes for itself, for the other side.
        let latent = prior.latentShape(frames: 1, height: shape[2], width: shape[3])
        let noise = try solver.settle(given).timesteps.indices.map { step in
            var random = RandomGenerator(seed: 0, stream: UInt64(step) + 1)
            return try random.normal(latent)
        }
        var result: Tensor?
        var sides: [Side] = [
            { try seconds(on: device) { result = try solver.restore(given).frames } }
        ]
        var peak = 0.0
        let log = exchange.path("log.json")
        // Through a shell: a process's peak memory begins with that of the one that started it.
        let words = [
            "/bin/sh", "-c", "\"$@\"; exit $?", "sh", Child.program, "restore", film, "-o",
            exchange.path("restored.mkv"), "--force", "--task",
            task, "--model", folder.path, "--device", "\(device)", "--threads", "\(threads)", "--json", log,
            // The script's defaults, as `options`.
            "--data-step", "cg", "--start", "inversion", "--first-estimate", "measurement", "--steadiness", "0",
            "--eta", "0.2", "--lambda",
            "\(2.0.squareRoot())",
        ]
        sides.append {
            let time = try Child.time(words)
            peak = max(peak, try ProgramLog(at: log).peakMemoryBytes)
            return time
        }
        var theirPeak = 0.0
        // On a CPU diffusers runs in float32 unless told otherwise.
        let theirType = device == .cpu ? DType.float32 : dtype
        var agreement = ""
        if let python {
            let request: [String: Any] = [
                "op": "restore", "task": task, "folder": folder.path, "format": "contiguous",
                "dtype": theirType.rawValue,
                "input": try exchange.write(measurement, as: "measurement"),
                "noise": try exchange.write(Tensor.stack(noise), as: "noise"), "output": exchange.path("result"),
            ]
            sides.append {
                let answer = try python.ask(request)
                theirPeak = answer["peak"] as? Double ?? 0
                guard let time = answer["seconds"] as? Double else {
                    throw BenchmarkError.message("The Python side gave no time.")
                }
                return time
            }
        }
        let timings = try repetitions.alternate(sides)
        if python != nil, let result {
            agreement = String(
                format: "results differ by %.0e; ",
                try relativeDifference(result, exchange.read("result", shape: result.shape)))
        }
        func row(_ what: String, _ ours: Int, _ alternative: String, _ theirs: Int?, _ note: String) {
            report.table.add(
                Row(
                    group: SpeedCommand.Group.pipeline.rawValue, what: what, size: size, ours: timings[ours],
                    alternative: alternative,
                    theirs: theirs.map { timings[$0] }, note: note))
        }
        func gigabytes(_ bytes: Double) -> String { String(format: "%.2f GB", bytes / 1e9) }
        row(
            "\(task) with the \(name), \(dtype.rawValue)", 0,
            "Algorithm 1 in Python with diffusers, \(theirType.rawValue), frame by frame",
            python == nil ? nil : 2,
            python == nil
                ? "not measured: \(PythonServer.absence)" : agreement + "Python's peak memory \(gigabytes(theirPeak))")
        row(
            "\(task) with the \(name): visionxl restore, from file to file", 1, "the same within one process", 0,
            "peak memory \(gigabytes(peak))")
    }
}
