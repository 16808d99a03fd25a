import TensorKit

/// Y = kr R + kg G + kb B of every pixel, one channel, on code values: a colour film that was kept in black and white.
///
/// The weights' sum is 1. The norm is the root of the sum of their squares, 0.67 to 0.75. One pass over memory.
public struct Greyscale: LinearOperator {
    public let matrix: Grey.Matrix
    private let map: AxisMap

    public init(_ matrix: Grey.Matrix) {
        self.matrix = matrix
        map = AxisMap { _ in SparseMatrix(dense: [matrix.weights]) }
    }

    public var name: String { "grey (\(matrix.rawValue))" }
    public var mixesFrames: Bool { false }

    /// - Throws: `ProblemError.invalidParameter` for videos of other than three channels.
    public func outputShape(for input: [Int]) throws(ProblemError) -> [Int] {
        try requireVideo(input)
        guard input[1] == 3 else {
            throw .invalidParameter(
                "Grey is made of red, green and blue; the video has \(input[1]) channels in place of 3.")
        }
        return [input[0], 1, input[2], input[3]]
    }
    /// - Throws: `ProblemError.invalidParameter` for measurements of other than one channel.
    public func inputShape(for output: [Int]) throws(ProblemError) -> [Int] {
        try requireVideo(output)
        guard output[1] == 1 else {
            throw .invalidParameter("A grey measurement has 1 channel, not \(output[1]); reduce it first.")
        }
        return [output[0], 3, output[2], output[3]]
    }

    public func apply(_ video: Tensor) throws -> Tensor {
        _ = try requireInput(video)
        return try map.product(video, along: 1, length: 3, transposed: false)
    }
    public func adjoint(_ measurement: Tensor) throws -> Tensor {
        _ = try requireOutput(measurement)
        return try map.product(measurement, along: 1, length: 3, transposed: true)
    }

    public func separated(for shape: [Int]) throws -> SeparatedForm? {
        try SeparatedForm(channels: map.factor(length: 3))
    }
}

/// The colours are gone. Files keep such a film in three channels: they are reduced to one by the same weights when it is read.
public struct Grey: Stage {
    /// How much of each colour grey has.
    public enum Matrix: String, Sendable, Hashable, Codable, CaseIterable {
        /// ITU-R BT.601, standard definition: 0.299, 0.587, 0.114.
        case bt601
        /// ITU-R BT.709, high definition: 0.2126, 0.7152, 0.0722.
        case bt709

        /// Of red, green and blue; their sum is 1.
        public var weights: [Double] {
            switch self {
            case .bt601: [0.299, 0.587, 0.114]
            case .bt709: [0.2126, 0.7152, 0.0722]
            }
        }
    }

    public var matrix: Matrix

    public init(_ matrix: Matrix) { self.matrix = matrix }

    public static let kind = "grey"
    public var words: String { "grey (\(matrix.rawValue))" }
    public var channels: Int? { 1 }

    public func makeOperator(for input: StageInput) throws -> any LinearOperator { Greyscale(matrix) }
    public func inputShape(for output: [Int]) throws(ProblemError) -> [Int] {
        try Greyscale(matrix).inputShape(for: output)
    }
    public func reduced(_ frames: Tensor) throws -> Tensor { try Greyscale(matrix).apply(frames) }
    public func stored(_ measurement: Tensor) throws -> Tensor {
        try measurement.expanded([-1, 3, -1, -1]).contiguous()
    }
}
