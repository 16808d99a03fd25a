import ArgumentParser
import Foundation
import InverseProblems

extension BlurBoundary: ExpressibleByArgument {}
extension TemporalBoundary: ExpressibleByArgument {}

/// What went wrong with the video: a preset and the numbers that differ from it.
struct TaskOptions: ParsableArguments {
    @Option(help: "What went wrong, a preset of the paper: \(Degradation.tasks.joined(separator: ", ")). '+' averages 7 frames first.")
    var task: String?

    @Option(help: "The frames were shrunk by this factor (means of blocks).")
    var scale: Int?

    @Option(help: "The frames were blurred by a Gaussian of this standard deviation, in pixels.")
    var blurSigma: Double?

    @Option(help: "The blur kernel's size in pixels, odd. (default: 61)")
    var blurSize: Int?

    @Option(help: "What the blur saw beyond the border. (default: reflect)")
    var blurBoundary: BlurBoundary?

    @Option(help: "A random part of the pixels is missing: which part, 0 to 1.")
    var maskRatio: Double?

    @Option(help: "The seed of the random mask. (default: 0)")
    var maskSeed: UInt64?

    @Option(help: ArgumentHelp("A picture of the known pixels (white) and the missing ones (black).", valueName: "file"))
    var mask: String?

    @Option(help: "Every frame is the mean of this many.")
    var average: Int?

    @Option(help: "Which frames the mean takes at the ends. (default: circular)")
    var averageBoundary: TemporalBoundary?

    /// Whether anything was said.
    var isEmpty: Bool {
        task == nil && scale == nil && blurSigma == nil && blurSize == nil && blurBoundary == nil && maskRatio == nil
            && maskSeed == nil && mask == nil && average == nil && averageBoundary == nil
    }

    mutating func validate() throws {
        if let task, !Degradation.tasks.contains(task) {
            throw ValidationError("\(ProblemError.unknownTask(task, known: Degradation.tasks))")
        }
        if mask != nil && maskRatio != nil { throw ValidationError("--mask and --mask-ratio are two masks; leave one of them out.") }
    }

    /// The preset, or what `base` says where there is none, with the numbers changed.
    func degradation(over base: Degradation? = nil) throws -> Degradation {
        var result = try task.map { try Degradation(task: $0) } ?? base ?? Degradation()
        if let scale { result.scale = scale == 1 ? nil : scale }
        if let blurSigma { result.blurSigma = blurSigma == 0 ? nil : blurSigma }
        if let blurSize { result.blurSize = blurSize }
        if let blurBoundary { result.blurBoundary = blurBoundary }
        if let maskRatio {
            result.maskRatio = maskRatio == 0 ? nil : maskRatio
            result.maskFile = nil
        }
        if let maskSeed { result.maskSeed = maskSeed }
        if let mask {
            result.maskFile = mask
            result.maskRatio = nil
        }
        if let average { result.averageWindow = average == 1 ? nil : average }
        if let averageBoundary { result.averageBoundary = averageBoundary }
        return result
    }
}

/// A range of frames, `a:b`: from a to before b, counted from 0; either may be left out.
struct FrameRange: ExpressibleByArgument, Equatable {
    var lower: Int
    var upper: Int?

    /// Whether it goes on to the video's end, wherever that is.
    var isOpen: Bool { upper == nil }

    init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let lower = parts[0].isEmpty ? 0 : Int(parts[0]), lower >= 0 else { return nil }
        self.lower = lower
        if !parts[1].isEmpty {
            guard let upper = Int(parts[1]), upper > lower else { return nil }
            self.upper = upper
        }
    }
}

/// Bounds of the prior's error: "0.4:2", or "0.4" for the same value twice.
struct PriorErrorArgument: ExpressibleByArgument, Equatable {
    var bounds: ClosedRange<Double>

    init(bounds: ClosedRange<Double>) { self.bounds = bounds }

    init?(argument: String) {
        let values = argument.split(separator: ":", omittingEmptySubsequences: false).map { Double($0) }
        guard 1...2 ~= values.count, let lower = values[0], let upper = values[values.count - 1], lower <= upper else { return nil }
        bounds = lower...upper
    }

    var defaultValueDescription: String {
        bounds.lowerBound == bounds.upperBound ? "\(bounds.lowerBound)" : "\(bounds.lowerBound):\(bounds.upperBound)"
    }
}
