import TensorKit

/// The paper's data step: Xbar = argmin |Y - A X|^2 over Xhat + Krylov_l, by conjugate gradients. It knows nothing of noise.
public struct ConjugateGradientStep: DataStep {
    /// l, 0 or more.
    public var iterations: Int
    /// Whether each frame may be solved on its own where the operator does not mix frames, instead of all with the same steps.
    public var solvesFramesAlone: Bool

    public init(iterations: Int = 10, solvesFramesAlone: Bool = false) {
        self.iterations = iterations
        self.solvesFramesAlone = solvesFramesAlone
    }

    public func prepared(_ measurement: VideoMeasurement, start: () throws -> Tensor) throws -> VideoMeasurement {
        // Once for nothing: what operators keep on a GPU is copied there now, before the first timestep, since copying waits.
        let (A, frames) = (measurement.operator, measurement.frames)
        if frames.device != .cpu {
            _ = try A.adjoint(A.apply(.zeros(measurement.videoShape, dtype: frames.dtype, device: frames.device)))
        }
        return measurement
    }

    public func apply(
        _ estimate: Tensor, _ measurement: VideoMeasurement, noiseToSignal: Double
    ) throws -> DataStepResult {
        let (A, Y) = (measurement.operator, measurement.frames)
        func solve(_ Y: Tensor, _ start: Tensor) throws -> DataStepResult {
            let (solution, report) = try conjugateGradients(A, measurement: Y, start: start, iterations: iterations)
            return DataStepResult(
                frames: solution, residual: Residual(before: report.residualBefore, after: report.residualAfter))
        }
        guard solvesFramesAlone, !A.mixesFrames else { return try solve(Y, estimate) }
        let parts = try (0..<Y.size(0)).map { try solve(Y.rows($0..<$0 + 1), estimate.rows($0..<$0 + 1)) }
        // Of the whole video again: the root of the sum of squares.
        let squares = try Tensor.numbers(
            (parts.indices.map { $0..<$0 + 1 } + [0..<Y.size(0)]).map { try Y.rows($0).innerProduct(Y.rows($0)) })
        let sizes = squares.map { $0 > 0 ? $0.squareRoot() : 1 }
        let measured = squares[parts.count].squareRoot()
        func total(_ part: KeyPath<Residual, Double>) -> Double {
            let squares = zip(parts, sizes).map { $0.residual[keyPath: part] * $1 }.map { $0 * $0 }
            return squares.reduce(0, +).squareRoot() / (measured > 0 ? measured : 1)
        }
        return DataStepResult(
            frames: try Tensor.concatenate(parts.map(\.frames), along: 0),
            residual: Residual(before: total(\.before), after: total(\.after)))
    }
}
