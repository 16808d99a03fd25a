import Foundation
import InverseProblems
import LatentDiffusion
import TensorKit
import VideoIO
import VisionXL

/// What was done, and what it took: what a recipe's `log` names.
public struct RestorationLog: Encodable, Sendable {
    public var input: String
    public var output: String
    /// What it began from, where that was brought along.
    public var firstEstimateFrom: String?
    public var problem: Problem
    /// As they were followed.
    public var options: RestorationOptions
    /// Each number that was followed, with its reason.
    public var settings: [Policy.Row] = []
    /// Frames that are kept of a window, at most.
    public var window: Int
    /// Frames beside them.
    public var context: Int
    /// The first frame of each.
    public var scenes: [Int] = []
    public var height: Int
    public var width: Int
    /// Of the measurement.
    public var noise: NoiseFigure?
    public var model = ""
    public var text = TextRequest()
    /// Where the prompt's embedding came from.
    public var textSource = TextConditioning.Source.none
    public var dtype = ""
    public var device = ""
    public var engine = ""
    public var frameCount = 0
    /// For each window, |Y - A(X)| / |Y| before and after each data step.
    public var residuals: [[Residual]] = []
    public var seconds = 0.0
    /// Of these, from a window's measurement to its frames: without reading, writing and loading the model.
    public var restoringSeconds = 0.0
    /// What was expected before the first frame was restored.
    public var estimate: TimeEstimate?
    /// Seconds by the kind of work.
    public var phases = PhaseTimes()
    /// What was expected to be needed.
    public var memory: MemoryPlan
    /// What went through the networks at once in the end.
    public var passes: PassSizes
    public var peakMemoryBytes = 0
    /// Of these, what the program's and the engine's files take, at the end. The system takes it back when it wants memory.
    public var mappedCodeBytes: Int?
    /// Of a GPU's own memory, what other programs held included; absent on a CPU.
    public var peakDeviceMemoryBytes: Int?
    /// Frames that this process decoded, and brought from whole numbers to tensors.
    public var framesDecoded = 0
    public var framesConverted = 0

    init(_ recipe: Recipe, _ video: MeasuredVideo, options: RestorationOptions, memory: MemoryPlan) {
        (input, output, problem, self.options) = (recipe.input, recipe.output, video.problem, options)
        (window, height, width) = (video.window, video.height, video.width)
        context = video.context.value
        (self.memory, firstEstimateFrom) = (memory, recipe.firstEstimateFrom)
        passes = memory.passes
    }

    mutating func describe(_ network: LatentDiffusionModel, _ request: TextRequest) {
        model = network.url.path
        text = request
        textSource = network.text.source
        dtype = network.dtype.rawValue
        device = "\(network.device)"
        engine = (try? Engine.load().version) ?? ""
    }

    /// A window that is done, now or by an earlier run.
    mutating func add(_ entry: WindowEntry) {
        restoringSeconds += entry.seconds
        phases.add(entry.phases)
        frameCount += entry.frames
        residuals.append(entry.residuals)
    }

    /// A window that was done now.
    mutating func add(_ entry: WindowEntry, _ result: Restoration) {
        add(entry)
        if let passes = result.passes { self.passes = passes }
        if let settings = result.settings { (options, self.settings) = (settings.options, settings.choices) }
    }

    mutating func finish(began: ContinuousClock.Instant) {
        seconds = (ContinuousClock.now - began) / .seconds(1)
        (peakMemoryBytes, mappedCodeBytes) = (PeakMemory.bytes ?? 0, Device.mappedCode)
        (framesDecoded, framesConverted) = (FrameCounts.decoded, FrameCounts.converted)
    }
}

/// Seconds from one look to the next.
struct Laps {
    var since: ContinuousClock.Instant

    mutating func next() -> Double {
        let now = ContinuousClock.now
        defer { since = now }
        return (now - since) / .seconds(1)
    }
}
