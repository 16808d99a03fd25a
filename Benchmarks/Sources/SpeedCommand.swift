import ArgumentParser
import Foundation
import TensorKit

struct SpeedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "speed", abstract: "Measure times.",
        discussion: """
            Every row compares two ways to do the same work, run in turns. Groups: \(Group.allCases.map(\.rawValue).joined(separator: ", ")).
            Python's side needs a python with torch and diffusers: VISIONXL_PYTHON, or python3.
            """)

    enum Group: String, CaseIterable, ExpressibleByArgument {
        case networks, operators, pipeline, program, startup, sdxl, videos, kernels, passes, build

        /// What is measured where nothing is chosen. Of the others `program` and `build` take minutes, and the rest hours on a CPU.
        static let usual: [Group] = [.networks, .operators, .pipeline, .startup, .sdxl, .videos]

        /// Whether it takes frames of SDXL's.
        var isFullSize: Bool { [.sdxl, .videos, .kernels, .passes].contains(self) }
    }

    @OptionGroup var common: CommonOptions

    @Option(help: "Measured runs of a row; slow rows stop earlier, after 3 at the least.")
    var runs = 5

    @Option(
        help: ArgumentHelp(
            "Only this group; may be repeated. (default: \(Group.usual.map(\.rawValue).joined(separator: ", ")))",
            valueName: "group"))
    var only: [Group] = []

    @Option(help: ArgumentHelp("Append each row as a line of JSON as soon as it is measured.", valueName: "file"))
    var rows: String?

    @Flag(help: "Operators at 25x3x768x1280 instead of 25x3x384x640.")
    var full = false

    @Option(help: "Frames of the rows against the dense 61x61 kernel, which takes seconds for each.")
    var denseFrames = 1

    @Option(help: "Frames of the whole pipeline. (default: 25, 9 of the program)")
    var frames: Int?

    @Option(
        name: .customLong("task"),
        help: ArgumentHelp(
            "Only this task of the whole pipeline and of the program; may be repeated. (default: sr4 and deblur+, all of the program)",
            valueName: "task"))
    var tasks: [PipelineTask] = []

    enum PipelineTask: String, CaseIterable, ExpressibleByArgument {
        case deblur
        case deblurAveraged = "deblur+"
        case inpaint
        case inpaintAveraged = "inpaint+"
        case sr4
        case sr4Averaged = "sr4+"

        /// The data step is next to nothing of the first and much of the second.
        static let usual: [PipelineTask] = [.sr4, .deblurAveraged]
    }

    @Option(help: "A model of SDXL's full size. (default: .deps/sdxl-random, 5 GB, made where it is not there)")
    var sdxl: String?

    @Option(
        name: .customLong("size"),
        help: ArgumentHelp(
            """
            Frames for SDXL, height x width in multiples of 64; may be repeated, the first is for single passes, too. \
            Frames of the program, in multiples of 8. (default: 288x480 of the program)
            """,
            valueName: "HxW"))
    var sizes: [FrameSize] = []

    @Option(
        name: .customLong("pass"),
        help: ArgumentHelp("Only this pass of SDXL's networks; may be repeated.", valueName: "pass"))
    var passes: [Pass] = []

    enum Pass: String, CaseIterable, ExpressibleByArgument {
        case unet, decode, encode
    }

    @Flag(help: "Restore whole videos with SDXL on a CPU, too: hours. On a GPU that is always done.")
    var wholeVideos = false

    mutating func validate() throws {
        guard runs >= 1, denseFrames >= 1, frames ?? 1 >= 1 else {
            throw ValidationError("--runs and the numbers of frames are 1 or more.")
        }
        guard sizes.allSatisfy(\.suitsSDXL) || !groups.contains(where: \.isFullSize) else {
            throw ValidationError("For SDXL the sides of --size must be multiples of 64.")
        }
    }

    mutating func run() async throws {
        let device = try common.prepareEngine()
        var report = Report(machine: try Circumstances(device: device, revision: common.revision))
        if let rows { report.table.journal = try Journal(at: rows) }
        let bench = Bench(
            device: device, repetitions: Repetitions(runs: runs, fewest: min(runs, 3)), threads: report.machine.threads)
        var failed = false
        for group in groups {
            note("\(group.rawValue):")
            do {
                try await measure(group, with: bench, into: &report)
            } catch {
                // The other groups' numbers are not lost.
                failed = true
                note("visionxl-bench: \(error)")
                report.skip(group, "the rest of \(group.rawValue)", "\(error)")
            }
        }
        report.machine.loadAfter = Circumstances.load
        print(report.machine.description)
        if let python = report.python { print("- Python: \(python)") }
        print("\n" + report.table.markdown)
        if let json = common.json { try writeJSON(report, to: json) }
        if failed { throw ExitCode.failure }
    }

    private var groups: [Group] { only.isEmpty ? Group.usual : Group.allCases.filter { only.contains($0) } }

    private func measure(_ group: Group, with bench: Bench, into report: inout Report) async throws {
        switch group {
        case .networks: try bench.networks(prior: common.modelFolder, into: &report)
        case .operators:
            try bench.operators(
                size: full ? (768, 1280) : (384, 640), frames: 25, denseFrames: denseFrames, into: &report.table)
        case .pipeline:
            let tasks = (tasks.isEmpty ? PipelineTask.usual : tasks).map(\.rawValue)
            let frames = frames ?? 25
            if let model = common.modelFolder {
                // Enlarged frames of 640x352, the demo's.
                let truth = try await common.frames(frames, height: 352, width: 640)
                try await bench.pipeline("built-in prior", model: model, tasks: tasks, truth: truth, into: &report)
            } else {
                report.skip(.pipeline, "the whole pipeline", "no built-in prior: Models/builtin is not there")
            }
            if let model = goldenModel {
                // Smaller, because its autoencoder takes longer than the built-in prior's networks.
                let truth = try await common.frames(frames, height: 192, width: 320)
                try await bench.pipeline("tiny SDXL", model: model, tasks: tasks, truth: truth, into: &report)
            } else {
                report.skip(.pipeline, "the whole pipeline with the tiny SDXL", "no golden tensors")
            }
        case .program:
            guard let model = common.modelFolder else {
                report.skip(.program, "the program", "no built-in prior: Models/builtin is not there")
                return
            }
            let size = sizes.first ?? FrameSize(height: 288, width: 480)
            try await bench.program(
                model: model, tasks: tasks.isEmpty ? PipelineTask.allCases : tasks,
                truth: common.frames(frames ?? 9, height: size.height, width: size.width), into: &report)
        case .startup: try bench.startup(into: &report)
        case .build: try bench.build(into: &report)
        case .sdxl:
            try bench.fullSize(
                model: fullSizeModel(), passes: wantedPasses, size: wantedSizes[0], into: &report)
        case .videos:
            guard wholeVideos || bench.device != .cpu else {
                report.skip(.videos, "whole videos with SDXL", "takes hours on a CPU; --whole-videos")
                return
            }
            for size in wantedSizes {
                try bench.wholeVideo(fullSizeModel(), size, frames: frames ?? 25, into: &report)
            }
        case .kernels:
            try bench.kernels(model: fullSizeModel(), passes: wantedPasses, size: wantedSizes[0], into: &report)
        case .passes:
            try bench.passes(model: fullSizeModel(), passes: wantedPasses, size: wantedSizes[0], into: &report)
        }
    }

    private var wantedPasses: [Pass] { passes.isEmpty ? Pass.allCases : passes }

    private var wantedSizes: [FrameSize] {
        sizes.isEmpty
            ? [.init(height: 768, width: 1280), .init(height: 1280, width: 768), .init(height: 1024, width: 1024)]
            : sizes
    }
}

extension SpeedCommand {
    private func fullSizeModel() throws -> URL {
        let folder = URL(fileURLWithPath: sdxl ?? ".deps/sdxl-random")
        if sdxl == nil, !FileManager.default.fileExists(atPath: folder.path) {
            note("  making \(folder.path), a model of SDXL's size with random weights")
            _ = try Child.time([Child.program, "models", "random", "sdxl", folder.path, "--seed", "1"])
        }
        return folder
    }
}

/// The machine and all rows.
struct Report: Encodable {
    var machine: Circumstances
    var python: String?
    var table = Table()

    init(machine: Circumstances) { self.machine = machine }

    mutating func skip(_ group: SpeedCommand.Group, _ what: String, _ reason: String) {
        table.add(Row(group: group.rawValue, what: what, size: "", alternative: "", note: "not measured: \(reason)"))
    }

    private enum CodingKeys: String, CodingKey { case machine, python, rows }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(machine, forKey: .machine)
        try container.encode(python, forKey: .python)
        try container.encode(table.rows, forKey: .rows)
    }
}

/// What all groups of rows share.
struct Bench {
    let device: Device
    let repetitions: Repetitions
    let threads: Int
}
