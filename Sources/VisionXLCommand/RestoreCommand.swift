import ArgumentParser
import Foundation
import InverseProblems
import LatentDiffusion
import TensorKit
import VideoIO
import VisionXL

extension RestorationOptions.Start: ExpressibleByArgument {}
extension RestorationOptions.Upsampling: ExpressibleByArgument {}
extension RestorationOptions.DataStep: ExpressibleByArgument {}
extension RestorationOptions.FirstEstimate: ExpressibleByArgument {}

struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Restore a degraded video.",
        discussion: """
            What went wrong is said by --task and the options below it, or by the .json file that `degrade` wrote beside the video.

              visionxl restore small.mp4 -o large.mp4 --task sr4
              visionxl restore holes.mkv -o whole.mkv --mask holes.png
              visionxl restore soft.mov -o sharp/ --blur-sigma 2 --model ~/models/sdxl

            Videos longer than the window are restored window by window; all windows share their noise.
            """)

    @Argument(help: "A video, a folder of PNG or JPEG pictures, or a picture.")
    var input: String

    @Option(name: .shortAndLong, help: "A .mp4 or .mov (H.264), a .mkv (lossless), or a folder for PNG pictures.")
    var output: String

    @OptionGroup(title: "What went wrong")
    var task: TaskOptions

    @Option(
        help: ArgumentHelp(
            "Noise on the measurement: its standard deviation in units of the pixel range [-1, 1], 0, or auto (what the .json says, else what the "
                + "file's bits and the frames show; and what lossy coding adds).", valueName: "auto|sigma"))
    var noise = NoiseChoice.auto

    @OptionGroup(title: "Model")
    var model: ModelOptions

    @OptionGroup(title: "Text")
    var text: TextOptions

    @OptionGroup(title: "Algorithm")
    var algorithm: AlgorithmOptions

    @Option(help: ArgumentHelp("Only the frames from a to before b, counted from 0.", valueName: "a:b"))
    var frames: FrameRange?

    @Option(help: "Frames that are restored together. (default: 25, or what the measurement's .json says)")
    var window: Int?

    @Option(help: "Bits of each component in .mkv files and PNG pictures: 8 or 16.")
    var bits = 8

    @Option(help: ArgumentHelp("Write what was done, with residuals and times.", valueName: "file"))
    var json: String?

    @Flag(help: "Replace the output if it exists.")
    var force = false

    mutating func validate() throws {
        guard bits == 8 || bits == 16 else { throw ValidationError("--bits must be 8 or 16.") }
        if let window, window < 1 { throw ValidationError("--window must be 1 or more.") }
        if algorithm.paper, model.fast != nil { throw ValidationError("--paper is exact; leave out --fast.") }
        if algorithm.paper, text.request != TextRequest() {
            throw ValidationError("--paper has the null prompt; leave out --prompt, --negative-prompt and --guidance.")
        }
        try Media.requireNames(input: input, output: output)
    }

    mutating func run() async throws {
        let began = Date()
        // Everything that can be refused is refused before the model is read.
        try Media.check(output: output, inputs: [input] + (task.mask.map { [$0] } ?? []), force: force)
        if let json {
            try Media.check(json: json, others: [input, output, MeasurementRecord.path(beside: input)], force: force)
        }
        try model.check(text.request)
        var options = algorithm.options
        model.apply(to: &options)
        // Counted, for the time that is left.
        let reader = try await VideoReader(input, countFrames: true)
        let info = reader.info
        // A preset says everything; only without one must the record be sound.
        let record = task.task == nil ? try MeasurementRecord.read(beside: input) : try? MeasurementRecord.read(beside: input)
        let degradation = try task.degradation(over: record?.degradation)
        if task.isEmpty && record == nil {
            throw CommandError.message(
                "What went wrong with \(input) is not known: say it with --task (\(Degradation.tasks.joined(separator: ", "))) or the options "
                    + "for its parts (there is no \(MeasurementRecord.path(beside: input)) that says it).")
        }
        let size = window ?? record?.window ?? 25
        var windows = try FrameWindows(reader, frames: frames, size: size)
        let mask: Tensor? =
            if let file = degradation.maskFile { try await Media.mask(file, height: info.height, width: info.width) } else { nil }
        // One frame's worth of the problem, to know the result's size and to hear of misfits early.
        let full = try degradation.fullSize(ofMeasurement: [degradation.averageWindow ?? 1, 3, info.height, info.width])
        let (height, width) = (full[2], full[3])
        // All of LibTorch on threads that end: while another one keeps workers, OpenMP's wait in the kernel, and small operators take twice as long.
        _ = try await onThread { _ in try degradation.operator(height: height, width: width, mask: mask) }

        let device = try model.prepareEngine()
        let together = min(size, windows.frameCount ?? size)
        let (budget, program) = model.memoryState(on: device)
        let plan = MemoryPlan(
            model: try model.modelMemory(on: device), device: device, budget: budget, program: program, frames: together, height: height,
            width: width, hasGuidance: text.request.guidance != 1, framesPerPass: options.framesPerPass,
            isSelfSimilar: height > info.height && [nil, .selfSimilar].contains(options.firstEstimate))
        try model.check(plan, frames: together)
        if device == .cpu, plan.isTight { Heap.returnLargeBlocks() }
        let wholeVideo = frames == nil && (info.hasAudio || info.hasSubtitles)
        let encoding = try VideoEncoding(forPath: output)
        let writer = try await VideoWriter(
            to: output, width: width, height: height, bitDepth: bits, frameRate: info.frameRate, encoding: encoding,
            tags: info.colour, copyStreams: wholeVideo && encoding != .png ? input : nil, overwrite: force)
        var log = RestorationLog(
            input: input, output: output, degradation: degradation, options: options, window: size, height: height, width: width, memory: plan)
        do {
            let (model, text) = (model, text)
            let network = try await onThread { _ in try model.load(on: device, text: text.request) }
            log.describe(network, text.request)
            for end in network.text.removed { Console.note("CLIP's text encoders take 77 tokens; left out of the prompt: \(end)") }
            Console.note(
                "\(info.width)x\(info.height) -> \(width)x\(height), \(network.url.lastPathComponent) in \(network.dtype.rawValue) on "
                    + "\(device), PyTorch \(log.engine)")
            model.announce(plan, frames: together, on: device)
            var solver = Solver(prior: LatentDiffusionPrior(network), options: options)
            solver.passes = plan.passes
            solver.onSmallerPasses = { Console.note($0) }
            var problem = WindowProblem(degradation: degradation, height: height, width: width, mask: mask)
            var display = ProgressDisplay(windowCount: windows.windowCount) { device.memory().map { $0.total - $0.free } }
            let depth = bits
            var index = 0
            while let measured = try await windows.next() {
                if index == 0 {
                    // One level for all windows, or seams would show.
                    let known = try await onThread { [problem] _ in try problem.knownPixels() }
                    let found = try await MeasurementNoise(noise, record: record, reader: reader, frames: measured, known: known)
                    problem.noise = found.sigma
                    log.noise = found
                    if options.dataStep == .proximal || options.steadiness > 0 { Console.note("measurement noise \(found)") }
                }
                let number = index
                let shown = display
                let started = Date()
                let (problem, current) = (problem, solver)
                let result = try await onThread { checkCancellation in
                    var display = shown
                    let result = try problem.restore(Tensor(frames: measured), with: current) { progress in
                        try checkCancellation()
                        display.show(progress, window: number)
                    }
                    return (result, display, try VideoFrame.frames(of: result.frames, bitDepth: depth))
                }
                display = result.1
                log.restoringSeconds += Date().timeIntervalSince(started)
                // What did not fit once will not the next time.
                if let fitted = result.0.passes, fitted != solver.passes {
                    solver.passes = fitted
                    log.passes = fitted
                    solver.onSmallerPasses = nil
                }
                if let followed = result.0.options { log.options = followed }
                log.add(frames: result.2.count, residuals: result.0.residuals)
                for frame in result.2 { try await writer.append(frame) }
                index += 1
            }
            display.finish()
            log.peakDeviceMemoryBytes = display.peakDeviceMemory
            try await writer.finish()
        } catch {
            await writer.cancel()
            throw error
        }
        log.seconds = Date().timeIntervalSince(began)
        (log.peakMemoryBytes, log.mappedCodeBytes) = (Usage.peakMemory, Device.mappedCode)
        if let json { try JSONFile.write(log, to: json) }
        Console.note(
            "\(output): \(log.frameCount) \(log.frameCount == 1 ? "frame" : "frames") in \(Usage.describe(seconds: log.seconds)), peak memory "
                + Usage.describe(bytes: log.peakMemoryBytes)
                + (log.peakDeviceMemoryBytes.map { ", of the GPU " + Usage.describe(bytes: $0) } ?? ""))
    }
}

/// The operator for windows of any number of frames.
struct WindowProblem: Sendable {
    let degradation: Degradation
    let height: Int
    let width: Int
    let mask: Tensor?
    /// Standard deviation of the measurement's noise.
    var noise = 0.0

    /// (h, w) of 0 and 1 where only a part of the pixels is measured.
    func knownPixels() throws -> Tensor? { try mask ?? degradation.randomMask(height: height, width: width) }

    func restore(
        _ measurement: Tensor, with solver: Solver<LatentDiffusionPrior>, progress: @escaping RestorationProgress.Handler
    ) throws -> Restoration {
        let device = solver.prior.device
        let problem = try degradation.operator(height: height, width: width, mask: mask?.to(device))
        var measured = try measurement.to(device)
        // What stands in the holes was not measured, whatever it is.
        if let mask = try knownPixels() { measured = try measured * mask.to(device) }
        return try solver.restore(measured, operator: problem, measurementNoise: noise, progress: progress)
    }
}

/// Every number of Algorithm 1.
struct AlgorithmOptions: ParsableArguments {
    @Option(help: "T: DDIM steps of the whole schedule.")
    var steps = RestorationOptions().steps

    @Option(help: "tau / T: the part of the schedule that is sampled.")
    var tau = RestorationOptions().tau

    @Option(
        help: "What holds the frames to the measurement: cg (the paper's steps) or proximal, which weighs the measurement by its noise. (default: \(RestorationOptions().dataStep.rawValue))")
    var dataStep: RestorationOptions.DataStep?

    @Option(
        help: ArgumentHelp(
            "c: a proximal data step takes the prior's frames to be c sqrt((1 - abar) / abar) wrong, in pixels of [-1, 1]; what the measurement shows between two bounds, or a number.",
            valueName: "low:high"))
    var priorError = PriorErrorArgument(bounds: RestorationOptions().priorError)

    @Option(help: "l: conjugate-gradient steps at each timestep, for --data-step cg. (default: \(RestorationOptions().conjugateGradientSteps))")
    var cgSteps: Int?

    @Option(name: .customLong("lambda"), help: "The low-pass filter's sigma over sqrt(1 - abar), in pixels; 0 switches it off. (default: sqrt 2; less for the built-in model and where pixels are measured exactly)")
    var lowPass: Double?

    @Option(help: "The low-pass filter's taps, odd. (default: as many as matter)")
    var lowPassTaps: Int?

    @Option(help: "How strongly pixels that stand still are averaged over time; 0 for not at all, as in the paper. (default: \(RestorationOptions().steadiness))")
    var steadiness: Double?

    @Option(help: "The part of the renoising that is new noise. (default: 0.2; 1 for the built-in model with a proximal step, unless frames shrank without noise)")
    var eta: Double?

    @Option(help: "The seed of all noise: the same seed gives the same frames.")
    var seed: UInt64 = 0

    @Option(help: "How the sampling starts: each frame with the noise that an inversion of the first one finds, as in the paper from the first frame's inversion for all, or otherwise. (default: \(RestorationOptions().start.rawValue))")
    var start: RestorationOptions.Start?

    @Option(help: "What the start encodes: the measurement, as in the paper; the smoothest frames that fit it; or where frames are smaller, those whose similar patches agree, which takes longer. (default: the last with the built-in model where frames are smaller and hardly noisy, else smooth)")
    var firstEstimate: RestorationOptions.FirstEstimate?

    @Option(help: "How small frames are enlarged for the start; the paper repeats pixels. (default: bicubic)")
    var upsampling: RestorationOptions.Upsampling?

    @Flag(help: "Sample the encoder's distribution instead of taking its mean.")
    var sampleEncoder = false

    @Option(help: "Conjugate-gradient steps after the last decode, beyond the paper; 0 for no data step of any kind there. (default: \(RestorationOptions().finalConsistencySteps))")
    var finalCgSteps: Int?

    @Flag(help: "Use that a blur is self-adjoint in --data-step cg: quicker on exact measurements, diverges on noisy or 8-bit ones.")
    var selfAdjoint = false

    @Flag(help: "The paper's algorithm exactly: conjugate gradients, a start from the measurement, no data step after the last decode.")
    var paper = false

    @Option(help: "Frames that go through a network together, whatever --memory says. (default: up to 4; on a CPU up to 4 small ones, else 1)")
    var framesPerPass: Int?

    mutating func validate() throws {
        if paper && dataStep == .proximal { throw ValidationError("--paper has conjugate gradients; leave out --data-step proximal.") }
        if paper, let firstEstimate, firstEstimate != .measurement {
            throw ValidationError("--paper starts from the measurement; leave out --first-estimate \(firstEstimate.rawValue).")
        }
        if paper && start == .sharedInversion { throw ValidationError("--paper starts from the first frame's inversion; leave out --start \(RestorationOptions.Start.sharedInversion.rawValue).") }
        if paper, let steadiness, steadiness > 0 { throw ValidationError("--paper averages nothing over time; leave out --steadiness.") }
        if options.dataStep != .conjugateGradients {
            if cgSteps != nil { throw ValidationError("--cg-steps is for conjugate gradients; add --data-step cg.") }
            if selfAdjoint { throw ValidationError("--self-adjoint is for conjugate gradients; add --data-step cg.") }
        }
        if paper, let finalCgSteps, finalCgSteps > 0 { throw ValidationError("--paper has no final steps; leave out --final-cg-steps.") }
        do { try options.validate() } catch { throw ValidationError("\(error)") }
    }

    var options: RestorationOptions {
        var options = paper ? RestorationOptions.paper : RestorationOptions()
        options.steps = steps
        options.tau = tau
        if let dataStep { options.dataStep = dataStep }
        options.priorError = priorError.bounds
        if let cgSteps { options.conjugateGradientSteps = cgSteps }
        if let lowPass { options.lowPass = lowPass }
        options.lowPassTaps = lowPassTaps
        if let steadiness { options.steadiness = steadiness }
        if let eta { options.eta = eta }
        options.seed = seed
        if let start { options.start = start }
        options.samplesEncoder = sampleEncoder
        if let firstEstimate { options.firstEstimate = firstEstimate }
        if let upsampling { options.upsampling = upsampling }
        if let finalCgSteps { options.finalConsistencySteps = finalCgSteps }
        options.usesSymmetrizer = selfAdjoint
        options.framesPerPass = framesPerPass
        return options
    }
}

/// What `--json` writes.
struct RestorationLog: Encodable {
    var input: String
    var output: String
    var degradation: Degradation
    /// As they were followed: eta and lambda as they were chosen where nothing said them.
    var options: RestorationOptions
    var window: Int
    var height: Int
    var width: Int
    /// Of the measurement, as a proximal data step takes it.
    var noise: MeasurementNoise?
    var model = ""
    var text = TextRequest()
    /// Where the prompt's embedding came from.
    var textSource = TextConditioning.Source.none
    var dtype = ""
    var device = ""
    var engine = ""
    var frameCount = 0
    /// For each window, |Y - A(X)| / |Y| before and after each data step.
    var residuals: [[RestorationProgress.Residual]] = []
    var seconds = 0.0
    /// Of these, from a window's measurement to its frames: without reading, writing and loading the model.
    var restoringSeconds = 0.0
    /// What was expected to be needed.
    var memory: MemoryPlan
    /// What went through the networks at once in the end.
    var passes: PassSizes
    var peakMemoryBytes = 0
    /// Of these, what the program's and the engine's files take, at the end. The system takes it back when it wants memory.
    var mappedCodeBytes: Int?
    /// Of a GPU's own memory, what other programs held included; absent on a CPU.
    var peakDeviceMemoryBytes: Int?

    init(
        input: String, output: String, degradation: Degradation, options: RestorationOptions, window: Int, height: Int, width: Int,
        memory: MemoryPlan
    ) {
        self.memory = memory
        passes = memory.passes
        self.input = input
        self.output = output
        self.degradation = degradation
        self.options = options
        self.window = window
        self.height = height
        self.width = width
    }

    mutating func describe(_ network: LatentDiffusionModel, _ request: TextRequest) {
        model = network.url.path
        text = request
        textSource = network.text.source
        dtype = network.dtype.rawValue
        device = "\(network.device)"
        engine = (try? Engine.load().version) ?? ""
    }

    mutating func add(frames: Int, residuals: [RestorationProgress.Residual]) {
        frameCount += frames
        self.residuals.append(residuals)
    }
}
