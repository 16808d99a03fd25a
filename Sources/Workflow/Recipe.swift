import Foundation
import InverseProblems
import LatentDiffusion
import VisionXL

/// Everything that was asked of a restoration, as every way of asking has it: a command line parses into one, a file holds one. What is nil is
/// left to `Policy`. Neither the device, nor threads, memory or permission to overwrite are in it: `Execution` has those.
///
///     let recipe = Recipe(input: "small.mp4", output: "large.mp4", problem: try Problem(task: "sr4"))
///     try await Workflow.restore(recipe)
public struct Recipe: Sendable, Equatable {
    /// Of the format that this program writes and reads.
    public static let version = 1

    /// A video, a folder of pictures, or a picture.
    public var input: String
    /// All frames when nil.
    public var frames: FrameRange?
    /// A .mp4 or .mov (H.264), a .mkv (lossless), or a folder for PNG pictures.
    public var output: String
    /// Of each component in lossless files: 8 or 16.
    public var bits: Int?
    /// A file for what was done, in JSON.
    public var log: String?
    /// What went wrong; what the .json beside the input says when nil.
    public var problem: Problem?
    public var noise: NoiseChoice?
    /// A video, a folder of pictures, or a picture of the result's size, whose frames the restoration begins from.
    public var firstEstimateFrom: String?
    /// Frames that are restored together.
    public var window: Int?
    public var model: ModelChoice
    public var text: TextRequest
    public var options: RestorationOptions

    public init(
        input: String, output: String, problem: Problem? = nil, noise: NoiseChoice? = nil,
        model: ModelChoice = ModelChoice(),
        options: RestorationOptions = RestorationOptions()
    ) {
        self.input = input
        self.output = output
        self.problem = problem
        self.noise = noise
        self.model = model
        self.options = options
        text = TextRequest()
    }

    /// Refuses numbers out of range, in a sentence.
    /// - Throws: `WorkflowError`, `RestorationError.invalidOption`.
    public func validate() throws {
        func check(_ condition: Bool, _ message: String) throws {
            if !condition { throw WorkflowError.message(message) }
        }
        try check(!input.isEmpty, "The input's name is empty; name a video, a folder of pictures, or a picture.")
        try check(!output.isEmpty, "The name after --output is empty; name a file or a folder.")
        try check(bits.map { $0 == 8 || $0 == 16 } ?? true, "--bits must be 8 or 16.")
        try check(window.map { $0 >= 1 } ?? true, "--window must be 1 or more.")
        if let firstEstimateFrom {
            try check(
                !firstEstimateFrom.isEmpty,
                "The name after --first-estimate-from is empty; name a video, a folder of pictures, or a picture.")
            try check(
                options.firstEstimate == nil,
                "--first-estimate-from brings frames to begin from, and --first-estimate (or --paper) says how they are made; "
                    + "leave one of them out.")
        }
        if case .sigma(let sigma) = noise {
            try check(sigma >= 0 && sigma.isFinite, "--noise must be 0 or more, or auto.")
        }
        try check(
            model.dtype.map { [.float32, .bfloat16, .float16].contains($0) } ?? true,
            "Networks run in float32, bfloat16 or float16, not \(model.dtype?.rawValue ?? "").")
        try text.validate()
        try options.validate()
    }
}

/// How noisy the measurement is said to be.
public enum NoiseChoice: Sendable, Hashable {
    /// What the .json says, else what the file's bits and the frames show; and what lossy coding adds.
    case auto
    /// Its standard deviation in units of [-1, 1].
    case sigma(Double)
}

/// A range of frames, `a:b`: from a to before b, counted from 0; either may be left out.
public struct FrameRange: Sendable, Hashable {
    public let lower: Int
    public let upper: Int?

    /// Whether it goes on to the video's end, wherever that is.
    public var isOpen: Bool { upper == nil }

    /// - Parameters:
    ///   - lower: 0 or more.
    ///   - upper: above `lower`; nil for the end.
    public init?(from lower: Int, to upper: Int? = nil) {
        guard lower >= 0, upper.map({ $0 > lower }) ?? true else { return nil }
        (self.lower, self.upper) = (lower, upper)
    }

    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let lower = parts[0].isEmpty ? 0 : Int(parts[0]), lower >= 0 else { return nil }
        guard let upper = Int(parts[1]) else {
            guard parts[1].isEmpty else { return nil }
            self.init(from: lower)
            return
        }
        self.init(from: lower, to: upper)
    }
}
