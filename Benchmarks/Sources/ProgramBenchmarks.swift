import Foundation
import TensorKit
import VisionXL

/// What `visionxl restore --json` writes, as far as it is of use here.
struct ProgramLog: Decodable {
    struct Estimate: Decodable {
        var seconds: Double
    }

    var peakMemoryBytes: Double
    /// What was told before the run.
    var estimate: Estimate?
    var phases: PhaseTimes?

    init(at path: String) throws {
        self = try JSONDecoder().decode(ProgramLog.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    }
}

// The program itself, from file to file, with all that it chooses by itself: each speed, what is not a network, the
// time it tells before, and two at once.
extension Bench {
    /// - Parameter truth: what is degraded, as 8 bits.
    func program(
        model: URL, tasks: [SpeedCommand.PipelineTask], truth: Tensor, into report: inout Report
    ) async throws {
        let exchange = try Exchange()
        let clip = exchange.path("clip.mkv")
        try await Film.write(truth, to: clip, bitDepth: 8)
        let size = "\(truth.size(0))x3x\(FrameSize(height: truth.size(2), width: truth.size(3)))"
        for task in tasks {
            let measurement = exchange.path("measurement.mkv")
            let degrade = ["degrade", clip, "-o", measurement, "--task", task.rawValue, "--bits", "8", "--force"]
            _ = try Child.time([Child.program] + degrade)
            let program = MeasuredProgram(
                model: model, device: device, threads: threads, measurement: measurement, exchange: exchange)
            try speeds(of: program, task, size, into: &report)
            if task == .inpaintAveraged { try company(of: program, task, size, into: &report) }
        }
    }

    /// All speeds in turns; every other row comes of the same runs.
    private func speeds(
        of program: MeasuredProgram, _ task: SpeedCommand.PipelineTask, _ size: String, into report: inout Report
    ) throws {
        // Processes share no more than the system's cache of files, which one of them fills.
        _ = try program.run(.fast)
        let speeds = Speed.allCases
        let runs = try repetitions.inTurns(speeds.map { speed in { try program.run(speed) } })
        let times = runs.map { Timing(samples: $0.map(\.seconds)) }
        let best = times[speeds.firstIndex(of: .best) ?? 0]
        func row(
            _ what: String, _ speed: Speed, _ ours: Timing?, _ alternative: String, _ theirs: Timing, _ note: String
        ) {
            report.table.add(
                Row(
                    group: SpeedCommand.Group.program.rawValue,
                    what: "\(task.rawValue) --speed \(speed.rawValue)\(what)",
                    size: size, ours: ours, alternative: alternative, theirs: theirs, note: note))
        }
        for (index, speed) in speeds.enumerated() {
            let (runs, time) = (runs[index], times[index])
            if speed != .best { row("", speed, time, "--speed best", best, "") }
            if speed != .balanced {
                let rest = Timing(samples: runs.map(\.restSeconds))
                row(": all but networks", speed, rest, "the whole run", time, phases(of: runs))
            }
            let told = runs.compactMap(\.toldSeconds)
            row(
                ": the time told before", speed, told.isEmpty ? nil : Timing(samples: told), "the time it took", time,
                told.isEmpty ? "not measured: the program told none" : "")
        }
    }

    /// Medians of each phase, and what lies outside all of them.
    private func phases(of runs: [MeasuredProgram.Run]) -> String {
        func text(_ name: String, _ samples: [Double]) -> String {
            String(format: "\(name) %.2f", Timing(samples: samples).median)
        }
        let phases = WorkPhase.allCases.filter { phase in runs.contains { $0.phases.seconds[phase] != nil } }
        return
            (phases.map { phase in text(phase.rawValue, runs.map { $0.phases.seconds[phase] ?? 0 }) }
            + [text("outside", runs.map { $0.seconds - $0.phases.total })]).joined(separator: ", ") + " s"
    }

    /// One run alone against two at once, and against ones whose threads spin while they wait, or sleep.
    private func company(
        of program: MeasuredProgram, _ task: SpeedCommand.PipelineTask, _ size: String, into report: inout Report
    ) throws {
        // This process has told the engine how to wait, and what it starts would inherit that.
        let usual: [String: String?] = ["OMP_WAIT_POLICY": nil, "GOMP_SPINCOUNT": nil]
        let spinning: [String: String?] = ["OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": nil]
        let asleep: [String: String?] = ["OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": nil]
        let one = program.words(.best, place: 0)
        let two = [one, program.words(.best, place: 1)]
        let timings = try repetitions.alternate([
            { try Child.time(one, environment: usual) },
            { try Child.times(two, environment: usual).reduce(0, +) / 2 },
            { try Child.time(one, environment: spinning) },
            { try Child.time(one, environment: asleep) },
        ])
        for (what, ours, alternative, theirs, note) in [
            ("two at once", 1, "one alone", 0, "the mean of both runs' times"),
            ("threads that spin briefly, then sleep", 0, "spinning on (OMP_WAIT_POLICY=ACTIVE)", 2, ""),
            ("threads that spin briefly, then sleep", 0, "asleep at once (OMP_WAIT_POLICY=PASSIVE)", 3, ""),
        ] {
            report.table.add(
                Row(
                    group: SpeedCommand.Group.program.rawValue, what: "\(task.rawValue) --speed best: \(what)",
                    size: size, ours: timings[ours], alternative: alternative, theirs: timings[theirs], note: note))
        }
    }
}

/// `visionxl restore` of one measurement.
private struct MeasuredProgram {
    struct Run {
        /// Of the process, from its start to its end.
        var seconds: Double
        var phases: PhaseTimes
        var toldSeconds: Double?

        /// All that was not a pass of a network.
        var restSeconds: Double { seconds - phases.networkShare * phases.total }
    }

    let model: URL
    let device: Device
    let threads: Int
    let measurement: String
    let exchange: Exchange

    /// - Parameter place: a number of its own for each of several runs at once.
    func words(_ speed: Speed, place: Int) -> [String] {
        [
            Child.program, "restore", measurement, "-o", exchange.path("restored-\(place).mkv"), "--force", "--speed",
            speed.rawValue, "--model", model.path, "--device", "\(device)", "--threads", "\(threads)", "--json",
            log(place),
        ]
    }

    func run(_ speed: Speed) throws -> Run {
        let seconds = try Child.time(words(speed, place: 0))
        let log = try ProgramLog(at: log(0))
        guard let phases = log.phases else {
            throw BenchmarkError.message("\(Child.program) wrote no phases; build it again with make build.")
        }
        return Run(seconds: seconds, phases: phases, toldSeconds: log.estimate?.seconds)
    }

    private func log(_ place: Int) -> String { exchange.path("log-\(place).json") }
}
