import Diffusion
import Foundation
import LatentDiffusion
import ModelHub
import Networks
import PixelPriors
import TensorKit
import VisionXL
import Weights

/// A model on a device, with what it may take of the device's memory: what every restoration of a run shares, whoever asks for it.
public struct ModelSession: Sendable {
    public let choice: ModelChoice
    public let text: TextRequest
    public let execution: Execution
    public let url: URL
    public let device: Device
    public let dtype: DType
    /// What there was to plan with before the model was opened: bytes, and what the process had taken.
    private let budget: Int?
    private let program: Int?
    private let memory: ModelMemory

    /// Finds the engine and the model, and reads the model's headers; no weight is read.
    /// - Throws: `TensorError` without an engine or a device, `WorkflowError` and `ModelError` for a model that cannot be used as asked.
    public init(_ choice: ModelChoice, text: TextRequest = TextRequest(), _ execution: Execution) throws {
        let url = try choice.url()
        try Self.check(text, of: choice, at: url)
        if let draft = choice.draftURL(of: url), !FileManager.default.fileExists(atPath: draft.path) {
            throw WorkflowError.message(
                "There is no autoencoder \(draft.path) for --fast tiny-vae; name one with --tiny-vae, or leave --fast out."
            )
        }
        device = try Self.prepareEngine(execution)
        (self.choice, self.text, self.execution, self.url) = (choice, text, execution, url)
        dtype = Policy.type(choice.dtype, on: device).value
        // What the system says is left comes on top of what this process has taken.
        let taken = device == .cpu ? Device.residentMemory : nil
        budget = execution.memory ?? device.availableMemory().map { $0 + (taken ?? 0) }
        program = taken.map { $0 + Self.code }
        memory = try ModelMemory(
            at: url, dtype: dtype, device: device, variant: choice.variant, autoencoder: choice.autoencoderURL(of: url))
    }

    /// What was seen to be mapped of the program's and the engine's files while it computes. Counted now it would be less or more: with large
    /// pages in its cache Linux maps more at once.
    private static let code = 160_000_000

    /// Opens the engine with as many threads as are asked for, and finds the device.
    public static func prepareEngine(_ execution: Execution) throws -> Device {
        if let threads = execution.threads {
            // Read by the engine's run time when it is opened.
            setenv("OMP_NUM_THREADS", "\(threads)", 1)
            setenv("MKL_NUM_THREADS", "\(threads)", 1)
        }
        _ = try Engine.load()
        let device = Policy.device(execution.device).value
        try Engine.require(device)
        return device
    }

    /// Refuses words that the model could not be given, without opening its weights.
    static func check(_ text: TextRequest, of choice: ModelChoice, at folder: URL) throws {
        guard text.hasWords else { return }
        let unet = try UNet2DCondition.configuration(ofModel: folder)
        guard unet.takesText else { throw ModelError.noTextConditioning(model: folder.path) }
        let lacking = PromptEncoder.lacking(in: folder, for: unet)
        guard !lacking.isEmpty else { return }
        // A name that was fetched is fetched again by it.
        guard let name = choice.name, (try? ModelName(name)) != nil, !FileManager.default.fileExists(atPath: name)
        else {
            throw ModelError.noTextEncoders(model: folder.path, lacking: lacking)
        }
        throw WorkflowError.message(
            "\(folder.path) has no text encoders, which a prompt needs (it lacks \(lacking.joined(separator: ", ")), or their safetensors "
                + "files); run `visionxl models pull \(name) --text`.")
    }

    /// What a restoration takes of the memory, and how much goes through each network at once so that it fits.
    /// - Parameters:
    ///   - extraVideos: as for `MemoryPlan`.
    ///   - small: the size of frames that a learned first estimate is made of; nil where none is.
    public func plan(
        frames: Int, height: Int, width: Int, extraVideos: Int = 0,
        enlarging small: (height: Int, width: Int)? = nil
    ) -> MemoryPlan {
        MemoryPlan(
            model: memory, device: device, budget: budget, program: program, frames: frames, height: height,
            width: width,
            hasGuidance: text.guidance != 1 && memory.guidesInTwoPasses, extraVideos: extraVideos,
            enlarging: small.map { PictureEnlargement.bytes(height: $0.height, width: $0.width) } ?? 0,
            framesPerPass: execution.framesPerPass)
    }

    /// Copies of the video that options keep beside the usual ones: what a lossy autoencoder lost.
    func extraVideos(_ options: RestorationOptions) -> Int {
        memory.losesDetail && options.codecResidual != 0 && options.timesteps?.count != 1 ? 1 : 0
    }

    /// The memory of windows that are going to be restored: refused where fewer frames together would fit and these do not.
    func settledPlan(_ recipe: Recipe, _ windows: WindowPlan, _ video: MeasuredVideo) throws -> MemoryPlan {
        let (height, width, hasOwn) = (video.height, video.width, recipe.firstEstimateFrom != nil)
        let isLearned =
            try !hasOwn && recipe.options.firstEstimate ?? .learned == .learned && PictureEnlargement.isAvailable
            && video.suitsEnlargement(frames: windows.longest)
        let small = isLearned ? (video.info.height, video.info.width) : nil
        let extra = extraVideos(recipe.options) + (hasOwn ? 1 : 0)
        func plan(_ frames: Int) -> MemoryPlan {
            self.plan(frames: frames, height: height, width: width, extraVideos: extra, enlarging: small)
        }
        let kept = windows.windows.map(\.kept.count).max() ?? 1
        let longest = windows.windows.map(video.restoredCount).max() ?? 1
        // Windows in the middle of a scene have context on both sides.
        let beside = 2 * windows.rules.context + video.mostBeyond
        let memory = plan(longest)
        if !memory.fits, let budget = memory.budget, windows.longest > 1 {
            // As many as fit; each is about ten times a frame in float32, whatever goes through a network at once.
            let most = (1..<max(kept, 2)).last { plan($0 + beside).fits }
            if let most, most < kept {
                throw WorkflowError.message(
                    "\(longest) frames of \(width)x\(height) together need about \(sizeText(memory.total)), and "
                        + "\(sizeText(budget)) \(execution.memory == nil ? "are free on \(device)" : "were allowed by --memory"); take --window \(most)."
                )
            }
        }
        return try settledPlan(
            frames: longest, height: height, width: width, extraVideos: extra, enlarging: small)
    }

    /// A plan that is going to be followed: refused where the memory that was allowed cannot hold it.
    /// - Parameters:
    ///   - window: frames that are restored together.
    ///   - others: as for `plan`.
    public func settledPlan(
        frames window: Int, height: Int, width: Int, extraVideos: Int = 0,
        enlarging small: (height: Int, width: Int)? = nil
    ) throws -> MemoryPlan {
        let plan = plan(
            frames: window, height: height, width: width, extraVideos: extraVideos, enlarging: small)
        if execution.memory != nil, !plan.fits, let budget = plan.budget {
            throw WorkflowError.message(
                "--memory \(sizeText(budget)) does not suffice even for the smallest passes: about \(sizeText(plan.total)) are needed "
                    + "(\(plan)); take more memory, \(Self.advice(window)).")
        }
        if device == .cpu { plan.settleHeap() }
        return plan
    }

    /// What people should know of a plan before it is followed.
    func notes(on plan: MemoryPlan, frames window: Int) -> [String] {
        guard !plan.fits, let budget = plan.budget else { return ["\(plan)"] }
        return [
            "\(plan)",
            "Only \(sizeText(budget)) are free on \(device), so this may fail; better take \(Self.advice(window)).",
        ]
    }

    private static func advice(_ window: Int) -> String {
        "fewer frames together (--window, now \(window)), smaller frames, or another --device"
    }

    /// With the timesteps that keep the full autoencoder beside a draft, where there is one.
    public func completed(_ options: RestorationOptions) -> RestorationOptions {
        var options = options
        options.exactCodecSteps = Policy.exactCodecSteps(options.exactCodecSteps, hasDraft: choice.draft != nil)
        return options
    }

    /// Opens the networks. Cost: the weights are mapped, and read once if they are converted.
    public func load() throws -> LatentDiffusionModel {
        try LatentDiffusionModel(
            at: url, dtype: dtype, device: device, variant: choice.variant, autoencoder: choice.autoencoderURL(of: url),
            draft: choice.draftURL(of: url), text: text, cache: .standard)
    }

    /// What the model's headers say of its noise and of what its decoder gains.
    func outline() throws -> (schedule: DDIMSchedule, decoderGain: Double?) {
        try LatentDiffusionModel.outline(
            at: url, variant: choice.variant, autoencoder: choice.autoencoderURL(of: url))
    }

    /// How long it would take; nil where memory did not suffice to try the networks. Opens the model.
    func estimate(
        _ video: MeasuredVideo, _ plan: WindowPlan, _ passes: PassSizes, _ extent: Policy.Extent
    ) async throws -> TimeEstimate? {
        try await onThread(of: device) { [self] check in
            try TimeEstimate.found(video, plan, passes, LatentDiffusionPrior(load()), extent, check)
        }
    }

    /// What is said where a learned first estimate would be the default and its networks are not there.
    static let lacksEnlargement =
        "A learned first estimate would be sharper; `make setup` fetches its networks (SPAN and FFDNet)."

    /// Refuses a first estimate whose networks are not there.
    static func check(_ options: RestorationOptions) throws {
        guard options.firstEstimate == .learned else { return }
        for network in PictureEnlargement.networks { _ = try NetworkLibrary.url(of: network) }
    }

    /// The networks of a learned first estimate, where they were fetched and it may be made.
    public func enlargement(for options: RestorationOptions) throws -> PictureEnlargement? {
        guard options.firstEstimate ?? .learned == .learned, PictureEnlargement.isAvailable else { return nil }
        return try PictureEnlargement(device: device)
    }

    /// The solver as this program runs it: its passes follow from the memory, and a learned first estimate has its networks where
    /// they were fetched.
    /// - Parameter hasOwnEstimate: whether frames to begin from are brought along, which wants no such network.
    public func solver(
        _ model: LatentDiffusionModel, options: RestorationOptions, hasOwnEstimate: Bool = false
    ) throws -> Solver<LatentDiffusionPrior> {
        var solver = Solver(prior: LatentDiffusionPrior(model), options: options)
        solver.enlargement = hasOwnEstimate ? nil : try enlargement(for: options)
        solver.plan = { [self] frames, height, width in
            let plan = plan(frames: frames, height: height, width: width, extraVideos: extraVideos(options))
            if device == .cpu { plan.settleHeap() }
            return plan.passes
        }
        return solver
    }
}
