import Metrics
import TensorKit

/// Clips x tasks x measurements x methods x metrics: what is to be measured.
///
///     let plan = EvaluationPlan(clips: try Clip.find(["clips"]), tasks: tasks, contenders: [mine, theirs])
///     let results = try await Evaluation(plan, folder: "results").run()
///     try results.write(to: "results")
public struct EvaluationPlan: Sendable {
    public var clips: [Clip]
    public var size = ClipSize.paper
    /// Frames of each clip, from its first one; a shorter clip is taken whole.
    public var frameCount = 25
    public var tasks: [EvaluationTask]
    public var storages: [MeasurementStorage] = [.float]
    /// Standard deviation of Gaussian noise that is added to every measurement, in units of [-1, 1].
    public var noise = 0.0
    public var seed: UInt64 = 0
    public var contenders: [Contender]
    public var metrics: [Metric] = [.psnr, .ssim, .lpips, .fvd, .flicker, .temporalError]
    /// Where degradations, methods and metrics run.
    public var device = Device.cpu
    /// Whether restored videos stay in the folder, losslessly in 16 bits: large, but a metric can be added later without restoring again.
    public var keepsFrames = false

    public init(clips: [Clip], tasks: [EvaluationTask], contenders: [Contender]) {
        self.clips = clips
        self.tasks = tasks
        self.contenders = contenders
    }

    public var cellCount: Int { clips.count * tasks.count * storages.count * contenders.count }
}
