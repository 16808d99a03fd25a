import Foundation
import InverseProblems
import LatentDiffusion
import VideoIO
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
    /// The part of each frame that is restored; all of it when nil.
    public var crop: Crop?
    /// A .mp4, .mov or .mkv, or a folder for PNG pictures.
    public var output: String
    /// Of each component in the file: 8, 10 or 16.
    public var bits: Int?
    public var encoding = EncodingChoice()
    /// What the result does not keep of the input, on purpose.
    public var leaveOut: [OutputPlan.Part] = []
    /// Whether the frames are whole pictures, whatever the file says of fields.
    public var isProgressive = false
    /// Whether what there is of a file that breaks off is restored.
    public var acceptsIncomplete = false
    /// What is done to the restored frames.
    public var finishing = Finishing()
    /// A file for what was done, in JSON.
    public var log: String?
    /// What went wrong; what the .json beside the input says when nil, and noise alone where there is none.
    public var problem: Problem?
    public var noise: NoiseChoice?
    /// A video, a folder of pictures, or a picture for all frames, of the result's size, that the restoration begins from. Its frame n belongs
    /// to the input's frame n.
    public var firstEstimateFrom: String?
    /// Frames that are kept of what is restored together, at most.
    public var window: Int?
    /// Frames beside them that are restored with them.
    public var context: Int?
    /// How it is told where scenes begin; `auto` when nil.
    public var scenes: SceneChoice?
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

    /// All files that it says are read, the input first.
    public var inputs: [String] {
        var files = [input] + (problem?.files ?? [])
        if case .file(let path) = scenes { files.append(path) }
        return files + (firstEstimateFrom.map { [$0] } ?? [])
    }

    /// An error with what else can be done, where it is that the input breaks off; any other one as it is.
    func advising(_ error: any Error) -> any Error {
        guard case VideoError.truncated(let path, _, _, _) = error, path == input, !acceptsIncomplete else {
            return error
        }
        return WorkflowError.message("\(error) (--incomplete takes it as it is)")
    }

    /// Refuses numbers out of range, in a sentence.
    /// - Throws: `WorkflowError`, `RestorationError.invalidOption`.
    public func validate() throws {
        func check(_ condition: Bool, _ message: String) throws {
            if !condition { throw WorkflowError.message(message) }
        }
        try check(!input.isEmpty, "The input's name is empty; name a video, a folder of pictures, or a picture.")
        try check(!output.isEmpty, "The name after --output is empty; name a file or a folder.")
        try check(bits.map { [8, 10, 16].contains($0) } ?? true, "--bits must be 8, 10 or 16.")
        _ = try encoding.words()
        try finishing.validate()
        try check(window.map { $0 >= 1 } ?? true, "--window must be 1 or more.")
        try check(context.map { (0...9999).contains($0) } ?? true, "--context must be between 0 and 9999.")
        try check(scenes != .file(""), "--scenes takes auto, off or the name of a file.")
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
