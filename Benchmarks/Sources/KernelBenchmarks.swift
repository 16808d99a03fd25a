import Foundation
import LatentDiffusion
import TensorKit
import VisionXL

// What a GPU's ways to compute are worth: passes of SDXL's networks with all of them, and without one. Every pass has as many frames as the
// program gives it on that device.
extension Bench {
    /// A pass of one of the networks, as often as it is called.
    private struct Work {
        let title: String
        let shape: String
        /// Bytes that a memory plan takes it to hold.
        let planned: Int
        let body: () throws -> Tensor
    }

    /// The ways in which nothing is left to the engine.
    private static let every = Kernels(
        autotunesConvolutions: true, normsChannelsLast: true, foldsEnlargement: true)

    /// All of a GPU's ways against all but one, and against none.
    func kernels(
        model folder: URL, passes: [SpeedCommand.Pass], size: FrameSize, into report: inout Report
    ) throws {
        var (untuned, native, unfolded) = (Self.every, Self.every, Self.every)
        untuned.autotunesConvolutions = false
        native.normsChannelsLast = false
        unfolded.foldsEnlargement = false
        let none = Kernels(autotunesConvolutions: false, normsChannelsLast: false, foldsEnlargement: false)
        // A plan that was found by trying would be taken without trying, too, on the same thread.
        let (tunedThread, untunedThread) = (Worker(), Worker())
        let others: [(name: String, kernels: Kernels, thread: Worker)] = [
            ("without the autotuner", untuned, untunedThread), ("with the engine's group norm", native, tunedThread),
            ("with enlarged maps convolved", unfolded, tunedThread), ("with none of the three", none, untunedThread),
        ]
        // Folded weights are made when a model is opened.
        let opened = try Kernels.$chosen.withValue(Self.every) { try Opened(folder, on: device) }
        for pass in passes {
            try withWork(pass, of: opened, size) { work, grown in
                func side(_ kernels: Kernels, _ thread: Worker) -> Side {
                    {
                        try thread {
                            try Kernels.$chosen.withValue(kernels) { try seconds(on: device) { _ = try work.body() } }
                        }
                    }
                }
                let expected = try tunedThread { try Kernels.$chosen.withValue(Self.every) { try work.body() } }
                let memory = grown()
                let first = try others.map { try side($0.kernels, $0.thread)() }
                let timings = try repetitions.alternate(
                    [side(Self.every, tunedThread)] + others.map { side($0.kernels, $0.thread) })
                for (index, other) in others.enumerated() {
                    let result = try other.thread { try Kernels.$chosen.withValue(other.kernels) { try work.body() } }
                    var note = String(
                        format: "results differ by %.0e; its first pass %.2f s",
                        try relativeDifference(result, expected),
                        first[index])
                    if index == 0 { note += "; \(memory)" }
                    report.table.add(
                        Row(
                            group: SpeedCommand.Group.kernels.rawValue, what: "\(work.title), a GPU's ways",
                            size: work.shape, ours: timings[0], alternative: other.name, theirs: timings[index + 1],
                            note: note))
                }
            }
        }
    }

    /// Passes as the program runs them, for comparing runs of the whole program: environments, allocators, drivers.
    func passes(
        model folder: URL, passes: [SpeedCommand.Pass], size: FrameSize, into report: inout Report
    ) throws {
        let thread = Worker()
        let opened = try Opened(folder, on: device)
        for pass in passes {
            try withWork(pass, of: opened, size) { work, grown in
                let side = { try thread { try seconds(on: device) { _ = try work.body() } } }
                let first = try side()
                let timing = try repetitions.alternate([side])[0]
                report.table.add(
                    Row(
                        group: SpeedCommand.Group.passes.rawValue, what: work.title, size: work.shape, ours: timing,
                        alternative: "", note: String(format: "first pass %.2f s; ", first) + grown()))
            }
        }
    }

    /// A model and what it is taken to hold.
    private struct Opened {
        let model: LatentDiffusionModel
        let memory: ModelMemory

        init(_ folder: URL, on device: Device) throws {
            let dtype = device.runningType
            model = try LatentDiffusionModel(at: folder, dtype: dtype, device: device)
            memory = try ModelMemory(at: folder, dtype: dtype, device: device)
        }
    }

    /// Calls `body` with a pass, and with a function that says how much of a GPU's memory was taken since.
    private func withWork(
        _ pass: SpeedCommand.Pass, of opened: Opened, _ size: FrameSize, _ body: (Work, () -> String) throws -> Void
    ) throws {
        let (model, memory) = (opened.model, opened.memory)
        let prior = LatentDiffusionPrior(model)
        let count = Policy.passes(on: device, height: size.height, width: size.width).prediction
        func work(_ size: FrameSize) throws -> Work {
            var random = RandomGenerator(seed: 1)
            let latents = try random.normal(
                prior.latentShape(frames: count, height: size.height, width: size.width), device: device)
            let (height, width) = (size.height, size.width)
            let shape = "\(count)x3x\(size)"
            switch pass {
            case .unet:
                return Work(
                    title: "U-Net, \(model.dtype.rawValue)", shape: shape,
                    planned: memory.prediction(count: count, height: height, width: width)
                ) { try prior.predictNoise(latents, timestep: 281) }
            case .decode:
                return Work(
                    title: "decode, \(model.autoencoderType.rawValue)", shape: shape,
                    planned: memory.decoding(frames: count, height: height, width: width)
                ) { try prior.decode(latents) }
            case .encode:
                let frames = try random.uniform([count, 3, height, width], device: device) * 2 - 1
                return Work(
                    title: "encode, \(model.autoencoderType.rawValue)", shape: shape,
                    planned: memory.encoding(frames: count, height: height, width: width)
                ) { try prior.encode(frames, samplingWith: nil) }
            }
        }
        // What CUDA loads of itself at first use is no side's time.
        _ = try work(size.quarter).body()
        let whole = try work(size)
        let used = { [device] in device.memory().map { $0.total - $0.free } }
        let before = used()
        try body(whole) {
            let planned = String(format: "planned %.2f GB", Double(whole.planned) / 1e9)
            guard let before, let now = used() else { return planned }
            return String(format: "memory grew by %.2f GB, ", Double(now - before) / 1e9) + planned
        }
    }
}
