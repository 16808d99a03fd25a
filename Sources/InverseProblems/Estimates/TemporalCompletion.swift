import TensorKit

/// Finds what an average over time does not see: of all videos that it cannot tell apart, the one that changes the least.
///
/// An average over k frames with open ends does not see what comes again after k frames and has no mean there: k - 1 numbers of each pixel.
/// What a film does is rare in time: most pixels stand still between most frames. So total variation in time finds them (Rudin, Osher & Fatemi 1992;
/// colours of a pixel change together):
///
///     argmin over X' of sum |D X'|, X' - X in the range of Q
///
/// D the differences of neighbouring frames and Q the projector on what is not seen, by the alternating direction method of multipliers (Boyd
/// et al. 2011, section 6.4.1). A X' is A X, and what does not change stays as it is.
package struct TemporalCompletion: Sendable {
    /// (D Q)^+, (N, N - 1).
    private let fit: Tensor

    /// - Parameter bound: what is weakened to less than this counts as not seen. At 0 A X' = A X.
    /// - Returns: nil where all that happens in time is seen.
    package init?(_ measurement: VideoMeasurement, below bound: Double = 0) throws {
        let shape = measurement.videoShape
        guard let factor = try measurement.operator.separated(for: shape)?.frames else { return nil }
        let all = try factor.decomposition(.float64, .cpu)
        let (count, seen) = (shape[0], all.singularValues.prefix { $0 >= bound }.count)
        guard seen > 0, seen < count else { return nil }
        let V = try all.right.narrow(1, from: 0, count: seen)
        let D = try Self.differences(count)
        let (left, values, right) = try (D - D.multiplied(by: V).multiplied(by: V.transposed(0, 1)))
            .singularValueDecomposition()
        // What is seen is zero there but for rounding, and so is what does not change: nothing is to be found of it.
        let rank = try values.array(of: Double.self).prefix { $0 > 1e-6 }.count
        guard rank > 0 else { return nil }
        let inverse =
            try left.narrow(1, from: 0, count: rank).transposed(0, 1)
            / values.narrow(0, from: 0, count: rank).unsqueezed(1)
        fit = try right.narrow(0, from: 0, count: rank).transposed(0, 1).multiplied(by: inverse)
            .to(.float32).to(measurement.frames.device).contiguous()
    }

    /// Whether there is anything to find for an operator of this form. Cost: a small matrix's singular values, once.
    package static func isNeeded(for form: SeparatedForm) throws -> Bool {
        guard let factor = form.frames else { return false }
        let seen = try factor.decomposition(.float64, .cpu).right
        return seen.size(1) < seen.size(0)
    }

    /// X', in units of [-1, 1].
    /// - Parameter X: (N, C, H, W), float32.
    /// - Returns: the same shape. Cost: `iterations` products with an (N, N) matrix along time, and as often seven passes over the video, a part of
    ///   its rows at a time.
    package func callAsFunction(_ X: Tensor) throws -> Tensor {
        let (count, channels, height, width) = (X.size(0), X.size(1), X.size(2), X.size(3))
        let rows = max(1, X.device.pieceSize / (count * channels * width))
        let parts = try stride(from: 0, to: height, by: rows).map { first in
            let part = try X.narrow(2, from: first, count: min(rows, height - first))
            return try completed(part.reshaped([count, channels, -1])).reshaped(part.shape)
        }
        return try Tensor.concatenate(parts, along: 2)
    }

    /// - Parameter X: (N, C, pixels).
    private func completed(_ X: Tensor) throws -> Tensor {
        func differences(_ X: Tensor) throws -> Tensor { try X.rows(1..<X.size(0)) - X.rows(0..<X.size(0) - 1) }
        func added(_ change: Tensor) throws -> Tensor {
            try X + fit.multiplied(by: change.reshaped([change.size(0), -1])).reshaped(X.shape)
        }
        let old = try differences(X)
        // Of least squares, to begin with.
        var result = try added(old * -1)
        var (sparse, dual) = (try differences(result), try Tensor.zeros(old.shape, dtype: X.dtype, device: X.device))
        for _ in 0..<Self.iterations {
            result = try added(sparse - dual - old)
            let ahead = try differences(result) + dual
            let size = try ahead.squared().mean(along: [1], keepingDimensions: true).squareRoot() + 1e-9
            sparse = try ahead * ((size - Self.threshold) / size).clamped(to: 0...1)
            dual = try ahead - sparse
        }
        return result
    }

    private static let iterations = 20
    /// How large a change is that is worth one of its own: it changes the way, not the end.
    private static let threshold = 0.1

    /// D, (N - 1, N).
    private static func differences(_ count: Int) throws -> Tensor {
        var numbers = [Double](repeating: 0, count: (count - 1) * count)
        for row in 0..<count - 1 {
            numbers[row * count + row] = -1
            numbers[row * count + row + 1] = 1
        }
        return try Tensor(numbers, shape: [count - 1, count])
    }
}
