import ArgumentParser
import Foundation
import InverseProblems
import LatentDiffusion
import Metrics
import TensorKit
import VisionXL

struct QualityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quality", abstract: "Measure results: PSNR and SSIM against the truth.",
        discussion: """
            Restores frames of a film from measurements kept exactly (float) and rounded to 8 bits, with the paper's algorithm and with the
            defaults, each with conjugate gradients on the normal equations and with the operator's symmetrizer, where it has one.
            """)

    @OptionGroup var common: CommonOptions

    @Option(help: "Frames.")
    var frames = 9

    @Option(help: "Pixels across.")
    var width = 320

    @Option(help: "Pixels down.")
    var height = 192

    @Option(help: ArgumentHelp("Tasks, separated by commas.", valueName: "names"))
    var tasks = "sr4,deblur,inpaint,average"

    @Option(help: "The seed of all noise.")
    var seed: UInt64 = 0

    /// PSNR and SSIM of one result.
    struct Score: Encodable {
        var psnr: Double
        var ssim: Double
        var description: String { String(format: "%.2f dB, %.4f", psnr, ssim) }
    }

    struct Result: Encodable {
        var task: String
        var measurement: String
        /// By the way it was made.
        var scores: [String: Score]
    }

    struct QualityReport: Encodable {
        var machine: Machine
        var model: String
        var frames: Int
        var width: Int
        var height: Int
        var seed: UInt64
        var results: [Result]
    }

    /// The columns of the table.
    static let columns = [
        "the measurement, enlarged", "CG alone", "paper", "default", "CG alone, self-adjoint", "paper, self-adjoint",
        "default, self-adjoint",
    ]

    mutating func run() async throws {
        let device = try common.prepareEngine()
        guard let folder = common.modelFolder else {
            throw BenchmarkError.message("There is no model: Models/builtin is not there; name a folder with --model.")
        }
        let truth = try await common.frames(frames, height: height, width: width)
        let names = tasks.split(separator: ",").map(String.init)
        let degradations = try names.map { ($0, try Degradation(task: $0)) }
        var report = QualityReport(
            machine: try Machine(device: device, revision: common.revision), model: folder.lastPathComponent, frames: frames, width: width,
            height: height, seed: seed, results: [])
        let prior = LatentDiffusionPrior(try LatentDiffusionModel(at: folder, dtype: device.runningType, device: device))
        for (task, degradation) in degradations {
            report.results += try Self.results(task, degradation, truth.to(device), prior, seed)
        }
        report.machine.loadAfter = Machine.load
        print(report.machine.description)
        print("- \(frames) frames of \(width)x\(height), model \(folder.lastPathComponent), \(prior.model.dtype.rawValue), seed \(seed)\n")
        print(
            markdownTable(
                ["task", "measurement"] + Self.columns,
                report.results.map { result in
                    [result.task, result.measurement] + Self.columns.map { result.scores[$0]?.description ?? "no symmetrizer" }
                }))
        if let json = common.json { try writeJSON(report, to: json) }
    }

    private static func results(
        _ task: String, _ degradation: Degradation, _ truth: Tensor, _ prior: LatentDiffusionPrior, _ seed: UInt64
    ) throws -> [Result] {
        let (height, width) = (truth.size(2), truth.size(3))
        let mask = try degradation.randomMask(height: height, width: width)?.to(prior.device)
        let A = try degradation.operator(height: height, width: width, mask: mask)
        let exact = try A.apply(truth)
        let rounded = try exact.rounded(toBits: 8)
        func score(_ frames: Tensor) throws -> Score {
            let shown = try frames.clamped(to: -1...1)
            return Score(psnr: try psnr(shown, truth).mean, ssim: try ssim(shown, truth).mean)
        }
        func options(_ base: RestorationOptions, selfAdjoint: Bool) -> RestorationOptions {
            var options = base
            options.seed = seed
            options.usesSymmetrizer = selfAdjoint
            return options
        }
        // What stands in the holes was not measured: rounding must not put anything there.
        return try [("float", exact), ("8-bit", try mask.map { try rounded * $0 } ?? rounded)].map { name, Y in
            var result = Result(task: task, measurement: name, scores: [:])
            func add(_ column: Int, _ frames: Tensor) throws {
                let value = try score(frames)
                result.scores[columns[column]] = value
                note("\(task), \(name), \(columns[column]): \(value.description)")
            }
            var enlarged = Y
            if Y.size(2) != height { enlarged = try Y.resizedBicubic(height: height, width: width) }
            try add(0, enlarged)
            for selfAdjoint in A.symmetrizer == nil ? [false] : [false, true] {
                let first = selfAdjoint ? 4 : 1
                try add(
                    first, conjugateGradients(A, measurement: Y, start: enlarged, usingSymmetrizer: selfAdjoint).solution)
                for (index, base) in [RestorationOptions.paper, RestorationOptions()].enumerated() {
                    let solver = Solver(prior: prior, options: options(base, selfAdjoint: selfAdjoint))
                    try add(first + 1 + index, solver.restore(Y, operator: A).frames)
                }
            }
            return result
        }
    }
}
