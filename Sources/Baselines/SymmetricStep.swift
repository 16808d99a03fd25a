import Foundation
import InverseProblems
import TensorKit

/// The authors' data step for blurs: conjugate gradients on B A x = B y in place of A' A x = A' y, for operators that have a symmetrizer B.
///
/// The system is not squared: for a blur it goes much further in ten steps. It also amplifies a measurement's noise, rounding to 8 bits
/// included, and would diverge; |Y - A X| rises where that begins, so the X with the least of it is the solution. (A clip of 640x384, blurred,
/// from the measurement alone: 27.6 dB against 25.7; rounded to 8 bits 26.0 against 25.7, and 8.7 without this rule.) Operators without a
/// symmetrizer are solved as ever.
public struct SymmetricStep: DataStep {
    /// 0 or more.
    public var iterations: Int

    public init(iterations: Int = 10) { self.iterations = iterations }

    public func apply(
        _ estimate: Tensor, _ measurement: VideoMeasurement, noiseToSignal: Double
    ) throws -> DataStepResult {
        let (solution, report) = try symmetricConjugateGradients(
            measurement.operator, measurement: measurement.frames, start: estimate, iterations: iterations)
        return DataStepResult(
            frames: solution, residual: Residual(before: report.residualBefore, after: report.residualAfter))
    }
}

/// An operator B such that B A is symmetric and positive semidefinite; nil where none better than A' is known.
public func symmetrizer(of problem: any LinearOperator) -> (any LinearOperator)? {
    switch problem {
    case is Identity, is BorderWeights: return Identity()
    case let blur as GaussianBlur:
        // A kernel that is cut off early has a transfer function that goes below zero.
        guard blur.hasPositiveTransfer else { return nil }
        // A reflection makes border pixels count twice, so that D G is symmetric, D being 1/2 on the border.
        return blur.boundary == .reflect && blur.half.count > 1 ? BorderWeights() : Identity()
    case let both as Composition:
        // first' (B second) first is symmetric and >= 0 when B second is. M' itself is the best that a mask has: M x = y has no solution for
        // a y with anything but zeros where pixels are missing.
        return symmetrizer(of: both.second).map { Composition(first: $0, second: Adjoint(of: both.first)) }
    default: return nil
    }
}

/// `conjugateGradients` on B A x = B y, where A has a symmetrizer B.
///
/// Parameters, errors and cost are those of `conjugateGradients`, with B in place of A'.
public func symmetricConjugateGradients(
    _ problem: any LinearOperator, measurement: Tensor, start: Tensor, iterations: Int = 10, tolerance: Double = 0
) throws -> (solution: Tensor, report: ConjugateGradientsReport) {
    try conjugateGradients(
        problem, symmetrizer: symmetrizer(of: problem), measurement: measurement, start: start, iterations: iterations,
        tolerance: tolerance)
}

extension GaussianBlur {
    /// h_0 + 2 sum_k h_k cos(k w) >= 0 for all w, up to float32 rounding.
    fileprivate var hasPositiveTransfer: Bool {
        let samples = 32 * half.count
        return (0...samples).allSatisfy { sample in
            let w = Double.pi * Double(sample) / Double(samples)
            return half.enumerated().reduce(0) {
                $0 + ($1.offset == 0 ? 1 : 2) * $1.element * cos(Double($1.offset) * w)
            } > -1e-6
        }
    }
}

/// D: border rows and columns times 1/2 (their crossings 1/4), nothing else changed.
struct BorderWeights: LinearOperator {
    var mixesFrames: Bool { false }

    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { try Identity().outputShape(for: input) }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { try outputShape(for: output) }

    func apply(_ video: Tensor) throws -> Tensor {
        _ = try outputShape(for: video.shape)
        let rows = try Tensor(Self.line(video.size(2)), shape: [video.size(2), 1])
        let columns = try Tensor(Self.line(video.size(3)), shape: [1, video.size(3)])
        return try video * (rows * columns).to(video.dtype).to(video.device)
    }
    func adjoint(_ measurement: Tensor) throws -> Tensor { try apply(measurement) }

    private static func line(_ length: Int) -> [Double] {
        (0..<length).map { length > 1 && ($0 == 0 || $0 == length - 1) ? 0.5 : 1 }
    }
}
