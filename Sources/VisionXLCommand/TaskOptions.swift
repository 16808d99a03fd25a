import ArgumentParser
import Foundation
import InverseProblems
import Workflow

extension BlurBoundary: ExpressibleByArgument {}
extension TemporalBoundary: ExpressibleByArgument {}
extension Grey.Matrix: ExpressibleByArgument {}

/// What went wrong with the video: a preset and the numbers that differ from it.
struct TaskOptions: ParsableArguments {
    @Option(
        help:
            "What went wrong, a preset of the paper: \(Problem.tasks.joined(separator: ", ")). '+' averages 7 frames first."
    )
    var task: String?

    @Option(help: "The frames were shrunk by this factor (means of blocks).")
    var scale: Int?

    @Option(help: "The frames were blurred by a Gaussian of this standard deviation, in pixels.")
    var blurSigma: Double?

    @Option(help: "The blur kernel's size in pixels, odd. (default: 61)")
    var blurSize: Int?

    @Option(help: "What the blur saw beyond the border. (default: reflect)")
    var blurBoundary: BlurBoundary?

    @Option(help: "The colours are gone: what grey was made by. A file in colours is reduced to grey when it is read.")
    var grey: Grey.Matrix?

    @Option(help: "A random part of the pixels is missing: which part, 0 to 1.")
    var maskRatio: Double?

    @Option(help: "The seed of the random mask. (default: 0)")
    var maskSeed: UInt64?

    @Option(
        help: ArgumentHelp(
            """
            A picture of the known pixels (white) and the missing ones (black), or painted in a colour, or transparent; or \
            a film or a folder with one for each frame.
            """, valueName: "file"))
    var mask: String?

    @Option(help: ArgumentHelp("Grow the mask's holes by so many pixels on each side.", valueName: "pixels"))
    var maskGrow: Int?

    @Flag(help: "The mask marks the missing pixels in white.")
    var maskInverted = false

    @Option(help: "Every frame is the mean of this many.")
    var average: Int?

    @Option(
        help:
            "Which frames the mean takes at the ends. (default: open, the frames that a film has there; circular for presets, --paper and `degrade`)"
    )
    var averageBoundary: TemporalBoundary?

    /// Whether anything was said.
    var isEmpty: Bool { task == nil && parts(.circular).allSatisfy { !$0.isSaid } }

    /// Each stage's part: whether it was said, and how it changes a problem.
    private func parts(_ ends: TemporalBoundary) -> [(isSaid: Bool, change: (inout Problem) throws -> Void)] {
        [
            (average != nil || averageBoundary != nil, { try changeAverage(&$0, ends) }),
            (blurSigma != nil || blurSize != nil || blurBoundary != nil, changeBlur),
            (scale != nil, { $0.set(scale == 1 ? nil : scale.map(Shrink.init(factor:))) }),
            (grey != nil, { $0.set(grey.map(Grey.init)) }),
            (maskRatio != nil || maskSeed != nil || mask != nil || maskGrow != nil || maskInverted, changeHoles),
        ]
    }

    mutating func validate() throws {
        if let task, !Problem.tasks.contains(task) {
            throw ValidationError("\(ProblemError.unknownTask(task, known: Problem.tasks))")
        }
        if let maskGrow, maskGrow < 0 { throw ValidationError("--mask-grow must be 0 or more.") }
        if mask != nil && maskRatio != nil {
            throw ValidationError("--mask and --mask-ratio are two masks; leave one of them out.")
        }
    }

    /// The preset, or what `base` says where there is none, with the numbers changed.
    /// - Parameter ends: of an average that is neither in the preset nor in `base`.
    /// - Throws: `WorkflowError` for a number of a stage that is not there.
    func problem(over base: Problem? = nil, ends: TemporalBoundary = .circular) throws -> Problem {
        var problem = try task.map { try Problem(task: $0) } ?? base ?? Problem()
        for part in parts(ends) where part.isSaid { try part.change(&problem) }
        return problem
    }

    private func changeBlur(_ problem: inout Problem) throws {
        guard var blur = blurSigma.map({ Blur(sigma: $0) }) ?? problem.stage() else {
            throw Self.nothing("blur", "--blur-sigma")
        }
        if blurSigma != nil, let old: Blur = problem.stage() { (blur.size, blur.boundary) = (old.size, old.boundary) }
        if let blurSize { blur.size = blurSize }
        if let blurBoundary { blur.boundary = blurBoundary }
        problem.set(blur.sigma == 0 ? nil : blur)
    }

    private func changeAverage(_ problem: inout Problem, _ ends: TemporalBoundary) throws {
        guard var stage = average.map({ Average(frames: $0, boundary: ends) }) ?? problem.stage() else {
            throw Self.nothing("average", "--average")
        }
        if average != nil, let old: Average = problem.stage() { stage.boundary = old.boundary }
        if let averageBoundary { stage.boundary = averageBoundary }
        problem.set(stage.frames == 1 ? nil : stage)
    }

    private func changeHoles(_ problem: inout Problem) throws {
        if let mask {
            return problem.set(Holes(file: mask, grow: maskGrow, inverted: maskInverted ? true : nil))
        }
        if maskGrow != nil || maskInverted {
            guard var holes: Holes = problem.stage(), holes.file != nil else { throw Self.nothing("mask", "--mask") }
            if let maskGrow { holes.grow = maskGrow }
            if maskInverted { holes.inverted = true }
            return problem.set(holes)
        }
        guard let ratio = maskRatio ?? problem.stage(Holes.self)?.ratio else {
            throw Self.nothing("random mask", "--mask-ratio")
        }
        problem.set(ratio == 0 ? nil : Holes(ratio: ratio, seed: maskSeed ?? problem.stage(Holes.self)?.seed ?? 0))
    }

    private static func nothing(_ stage: String, _ option: String) -> WorkflowError {
        .message("There is no \(stage) to change; say it with \(option), or leave its other numbers out.")
    }
}
