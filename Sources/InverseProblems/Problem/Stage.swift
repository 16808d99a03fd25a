import TensorKit

/// One thing that went wrong with a video: its numbers, as files and command lines hold them, and the operator that they stand for.
///
/// A kind of stage is one file in `Operators/`, with its operator, and one line in `Problem.kinds`.
public protocol Stage: Sendable, Hashable, Codable {
    /// Its name in files.
    static var kind: String { get }
    /// What it did to the video, in a few words.
    var words: String { get }
    /// The operator for frames that reach this stage.
    /// - Throws: `ProblemError` for numbers out of range, and for frames that do not fit.
    func makeOperator(for input: StageInput) throws -> any LinearOperator
    /// The shape of X from that of Y, both (N, C, H, W).
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int]
    /// A file that has to be read before there can be an operator; nil for none.
    var file: String? { get }
    /// The same with its file in another place.
    func located(_ place: (String) -> String) -> Self
    /// Frames on either side that a measured frame may depend on; 0 unless a stage mixes frames.
    var reach: Int { get }
    /// Channels of what comes out, where it is not as many as go in.
    var channels: Int? { get }
    /// What was measured, from frames of three channels as files have them.
    func reduced(_ frames: Tensor) throws -> Tensor
    /// Frames as files have them, from what was measured.
    func stored(_ measurement: Tensor) throws -> Tensor
}

extension Stage {
    public func inputShape(for output: [Int]) throws(ProblemError) -> [Int] {
        try requireVideo(output)
        return output
    }
    public var file: String? { nil }
    public func located(_ place: (String) -> String) -> Self { self }
    public var reach: Int { 0 }
    public var channels: Int? { nil }
    public func reduced(_ frames: Tensor) throws -> Tensor { frames }
    public func stored(_ measurement: Tensor) throws -> Tensor { measurement }
}

/// What a stage's operator is made for.
public struct StageInput: Sendable {
    /// Of the frames that reach the stage.
    public var height: Int
    public var width: Int
    /// What is in the files that stages name, by path.
    public var files: [String: Tensor]
    /// The ends at which the frames are a part of a longer video.
    public var openEnds: OpenEnds

    public init(height: Int, width: Int, files: [String: Tensor] = [:], openEnds: OpenEnds = []) {
        self.height = height
        self.width = width
        self.files = files
        self.openEnds = openEnds
    }
}
