import ArgumentParser
import Evaluation
import Foundation
import InverseProblems
import Metrics
import Synchronization
import TensorKit
import VisionXL
import Workflow

extension Ablation: ExpressibleByArgument {}

struct EvaluateCommand: AsyncParsableCommand, Resumable {
    var interrupted: String { "interrupted; what was measured is kept, and the same command goes on" }

    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Compare methods: clips x tasks x methods x metrics.",
        discussion: """
            Degrades clips, restores them with every method and measures the results. The output folder receives results.json, tables.md and
            report.html with pictures; run the same command again after an interruption and it goes on where it was.

              visionxl evaluate clips/ -o results --size 640x384 --measurement float,8bit
              visionxl evaluate clips/ -o starts --ablation start --tasks sr4,deblur

            visionxl is Algorithm 1 as this program runs it, paper the same and nothing else, pixel the first with a prior in pixel space;
            svi (Kwon & Ye 2024) and dds (Chung et al. 2024, frame by frame) sample in pixel space from noise; admm-tv is total variation, cg
            conjugate gradients without a prior, adjoint A'Y, upsampling the measurement itself, enlarged.

            \(Metric.overview)
            """)

    @Argument(help: "Videos, folders of pictures, and folders of those.")
    var clips: [String]

    @Option(name: .shortAndLong, help: "A new folder for the results, or that of an evaluation to go on with.")
    var output: String

    @Option(
        help: ArgumentHelp(
            "What goes wrong: \(names(Problem.tasks)). (default: \(EvaluationTask.paper.joined(separator: ",")))",
            valueName: "list"),
        transform: { try list($0, option: "--tasks", Problem.tasks) { Problem.tasks.contains($0) ? $0 : nil } })
    var tasks = EvaluationTask.paper

    @Option(
        help: ArgumentHelp(
            "Methods: \(names(MethodName.allCases)). (default: \(MethodName.byDefault.map(\.rawValue).joined(separator: ",")))",
            valueName: "list"),
        transform: { try list($0, option: "--methods", MethodName.allCases.map(\.rawValue), MethodName.init) })
    var methods = MethodName.byDefault

    @Option(help: Metric.help(default: "all but lpips-vgg"), transform: Metric.named)
    var metrics: [Metric] = [.psnr, .ssim, .lpips, .fvd, .flicker, .temporalError]

    @Option(
        help: ArgumentHelp(
            "How measurements are kept: float as in the paper, 8bit, h264:CRF. (default: float)", valueName: "list"),
        transform: {
            try list($0, option: "--measurement", ["float", "8bit", "h264:0 ... h264:51"], MeasurementStorage.init)
        })
    var measurement: [MeasurementStorage] = [.float]

    @Option(help: "Standard deviation of Gaussian noise on the measurements, in units of the pixel range [-1, 1].")
    var noise = 0.0

    @Option(
        help: ArgumentHelp(
            "Size of the frames: paper (1280x768, 768x1280 or 1024x1024, whichever is nearest), original, or WxH.",
            valueName: "size"))
    var size: ClipSize = .paper

    @Option(help: "Frames of each clip, from its first one.")
    var frames = 25

    @Option(
        help:
            "Vary one part of the paper's algorithm, or of this program's its speed or the parts in which it differs, instead of comparing methods: \(Ablation.allCases.map(\.rawValue).joined(separator: ", "))."
    )
    var ablation: Ablation?

    @Option(
        help: ArgumentHelp(
            "The pixel-space prior of svi, dds and pixel: ffdnet, or a guided-diffusion network's .safetensors with its .json beside.",
            valueName: "file"))
    var pixelPrior = "ffdnet"

    @Flag(help: "Keep the restored videos, so that metrics can be added later.")
    var keepFrames = false

    @OptionGroup(title: "Model of visionxl and paper")
    var model: ModelOptions

    @OptionGroup(title: "Algorithm of visionxl and pixel")
    var algorithm: AlgorithmOptions

    mutating func validate() throws {
        guard frames >= 1 else { throw ValidationError("--frames must be 1 or more.") }
        guard noise >= 0, noise.isFinite else { throw ValidationError("--noise must be 0 or more.") }
        try algorithm.check(algorithm.options)
        if let ablation, ablation.base == .paper, model.fast != nil {
            throw ValidationError("An ablation varies the paper's algorithm, which is exact; leave out --fast.")
        }
        if ablation == .parts, algorithm.paper {
            throw ValidationError("--ablation parts varies this program's own algorithm; leave out --paper.")
        }
        if ablation == .speed, algorithm.paper || algorithm.saysTimesteps {
            throw ValidationError(
                "--ablation speed says the timesteps of this program's own algorithm; leave out --speed, --timesteps, --steps, --tau and --paper."
            )
        }
        if output.isEmpty { throw ValidationError("The name after --output is empty; name a folder.") }
    }

    mutating func run() async throws {
        let clips = try Clip.find(self.clips)
        let session = try ModelSession(model.choice, model.execution(overwrites: false))
        var plan = EvaluationPlan(clips: clips, tasks: try tasks.map { try EvaluationTask(preset: $0) }, contenders: [])
        plan.storages = measurement
        plan.metrics = metrics
        plan.size = size
        plan.frameCount = frames
        plan.noise = noise
        plan.seed = algorithm.seed ?? 0
        plan.device = session.device
        plan.keepsFrames = keepFrames
        var options = algorithm.options
        if let steps = model.fullVaeSteps { options.exactCodecSteps = steps }
        let methods = try Methods(session, pixelPrior: pixelPrior, options: session.completed(options))
        if let ablation {
            var algorithm = algorithm
            // The final data step would hide what is compared.
            if ablation.base == .paper, algorithm.finalCgSteps == nil { algorithm.paper = true }
            let base = algorithm.options
            plan.contenders = try ablation.variants(of: base).map(methods.contender)
        } else {
            plan.contenders = try self.methods.map(methods.contender)
        }
        let display = EvaluationDisplay(cellCount: plan.cellCount)
        let evaluation = Evaluation(plan, folder: output)
        let results = try await evaluation.run { display.show($0) }
        display.finish()
        try results.write(to: output)
        Console.print(results.markdown)
        Console.note("\(output)/report.html has the pictures, \(output)/results.json every number.")
    }
}

extension ClipSize: ExpressibleByArgument {
    public init?(argument: String) {
        switch argument {
        case "paper": self = .paper
        case "original": self = .original
        default:
            let parts = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
            guard parts.count == 2, let width = parts[0], let height = parts[1], width > 0, height > 0 else {
                return nil
            }
            self = .fixed(width: width, height: height)
        }
    }

    public var defaultValueDescription: String {
        switch self {
        case .paper: "paper"
        case .original: "original"
        case .fixed(let width, let height): "\(width)x\(height)"
        }
    }
}

/// Says how an evaluation goes: a line for every cell, and on a terminal where the current one is.
final class EvaluationDisplay: Sendable {
    private let cellCount: Int
    private let state: Mutex<State>

    private struct State {
        var drawn = Date.distantPast
        var computed = 0
        var seconds = 0.0
        var began = Date()
        var current: Cell.Settings?
    }

    init(cellCount: Int) {
        self.cellCount = cellCount
        state = Mutex(State())
    }

    func show(_ event: EvaluationEvent) {
        switch event {
        case .opened(let clip, let frames, let width, let height, let scale):
            let resized = abs(scale - 1) < 0.001 ? "" : String(format: " (resized %.2f times)", scale)
            note("\(clip): \(frames) frames of \(width)x\(height)\(resized)")
        case .started(let cell, _):
            state.withLock {
                $0.began = Date()
                $0.current = cell
            }
        case .progress(let progress, let number):
            guard Console.isTerminal else { return }
            let text = state.withLock { state -> String? in
                guard Date().timeIntervalSince(state.drawn) > 0.1, let current = state.current else { return nil }
                state.drawn = Date()
                let percent = Int(progress.fraction * 100)
                return
                    "\(number)/\(cellCount) \(Self.name(current)): \(progress.phase.rawValue), \(percent)%, peak memory "
                    + Usage.describe(bytes: Usage.peakMemory) + left(state, number)
            }
            if let text {
                Console.write("\r\u{1B}[K" + text.prefix((Console.terminalWidth ?? 200) - 1), to: STDERR_FILENO)
            }
        case .finished(let cell, let number, let isNew):
            let rest = state.withLock { state -> String in
                guard isNew else { return " (from an earlier run)" }
                state.computed += 1
                state.seconds += Date().timeIntervalSince(state.began)
                return " in \(durationText(seconds: cell.seconds ?? 0))" + left(state, number)
            }
            note("\(number)/\(cellCount) \(Self.name(cell.settings)): \(Self.outcome(cell))\(rest)")
        }
    }

    func finish() {
        if Console.isTerminal { Console.write("\r\u{1B}[K", to: STDERR_FILENO) }
    }

    private func left(_ state: State, _ number: Int) -> String {
        guard state.computed > 0, number < cellCount else { return "" }
        return ", " + durationText(seconds: state.seconds / Double(state.computed) * Double(cellCount - number))
            + " left"
    }

    private static func name(_ cell: Cell.Settings) -> String {
        "\(cell.clip), \(cell.task), \(cell.storage), \(cell.method)"
    }

    private static func outcome(_ cell: Cell) -> String {
        if let failure = cell.failure { return "failed: \(failure)" }
        let numbers = [(Metric.psnr, "%.2f dB"), (.ssim, "SSIM %.4f"), (.lpips, "LPIPS %.4f")].compactMap {
            metric, format in
            cell.scores[metric].map { String(format: format, $0.mean) }
        }
        return numbers.isEmpty ? "done" : numbers.joined(separator: ", ")
    }

    private func note(_ text: String) { Console.note((Console.isTerminal ? "\r\u{1B}[K" : "") + text) }
}
