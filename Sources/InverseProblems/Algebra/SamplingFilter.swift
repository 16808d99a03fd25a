import Foundation
import TensorKit

/// A filter that makes of frames that one operator shrank what an antialiased bicubic filter would have left of the same video: what networks
/// were trained on that enlarge.
///
/// Both sample the same video, the one with means of blocks (or whatever the operator takes), the other with wider weights that alias less. Of
/// a video about which nothing is known but that its spectrum falls as that of pictures does (amplitudes as 1/f), the filter is the best
/// there is:
///
///     h = argmin E |h * (A x) - B x|^2,   sum of h = 1
///
/// A linear system of the correlations of A x and B x, which are sums over frequencies. With the square's eight symmetries 7 x 7 taps
/// are ten numbers. Benchmarks/reference/sampling_filter.py finds the same ones.
package struct SamplingFilter: Sendable {
    /// Taps to each side of the middle one.
    package static let reach = 3
    /// (7, 7), float64.
    package let taps: Tensor

    /// The filter for frames that `problem` shrank to a whole part of their size.
    ///
    /// The operator's weights are those of the pixel in the middle. Cost: one `adjoint` of a frame, and products of a few matrices of up to
    /// 32 factor rows.
    /// - Parameter shape: of Y; the operator does not mix frames or channels.
    /// - Throws: `ProblemError.invalidParameter` for an operator that shrinks by no whole number, or that does not look at the pixel.
    package init(for problem: any LinearOperator, measurement shape: [Int]) throws {
        let small = [1] + shape[1...]
        let full = try problem.inputShape(for: small)
        let factor = full[2] / shape[2]
        guard factor >= 2, full[2] == factor * shape[2], full[3] == factor * shape[3] else {
            throw ProblemError.invalidParameter("\(problem) does not shrink frames to a whole part of their size.")
        }
        let (row, column) = (shape[2] / 2, shape[3] / 2)
        var impulse = try Tensor.zeros(small, dtype: .float64)
        try impulse.replace(at: [0, 0, row, column], with: .ones([1, 1, 1, 1], dtype: .float64))
        let weights = try problem.adjoint(impulse).select(0, 0).select(0, 0)
        // What lies further than sixteen small pixels from the middle counts for nothing.
        func window(_ middle: Int, _ length: Int) -> Range<Int> {
            max((middle - 16) * factor, 0)..<min((middle + 17) * factor, length)
        }
        let (rows, columns) = (window(row, full[2]), window(column, full[3]))
        let kernel = try weights.narrow(0, from: rows.lowerBound, count: rows.count)
            .narrow(1, from: columns.lowerBound, count: columns.count).contiguous()
        let total = try kernel.sum().item()
        guard abs(total) > 1e-6 else {
            throw ProblemError.invalidParameter("\(problem) does not look at the pixel in a frame's middle.")
        }
        let frequencies = Frequencies(factor: factor)
        func places(_ range: Range<Int>, _ middle: Int) -> [Double] {
            range.map { Double($0 - middle * factor) - Double(factor - 1) / 2 }
        }
        let response = try frequencies.cosines(places(rows, row)).multiplied(by: kernel / total)
            .multiplied(by: frequencies.cosines(places(columns, column)).transposed(0, 1))
        taps = try Self.taps(response, frequencies)
    }

    /// Frames (N, C, h, w) as the other sampling would have them. What lies beyond the border is taken to be as its nearest pixel is.
    package func apply(_ frames: Tensor) throws -> Tensor {
        let (channels, reach, size) = (frames.size(1), Self.reach, 2 * Self.reach + 1)
        let weight = try taps.to(frames.dtype).to(frames.device).reshaped([1, 1, size, size])
            .expanded([channels, 1, size, size]).contiguous()
        return try frames.padded([reach, reach, reach, reach], .replicate).convolved(weight, groups: channels)
    }

    /// Of rows or columns of the large frame, in cycles per pixel, from 0 to 1/2.
    private struct Frequencies {
        let factor: Int
        let values: [Double]
        /// How many frequencies each stands for: its negative as well.
        let counts: [Double]

        init(factor: Int) {
            let length = 32 * factor
            self.factor = factor
            values = (0...length / 2).map { Double($0) / Double(length) }
            counts = (0...length / 2).map { $0 == 0 || 2 * $0 == length ? 1 : 2 }
        }

        /// cos(2 pi v p), a row for each frequency and a column for each place.
        func cosines(_ places: [Double]) throws -> Tensor {
            try Tensor(
                values.flatMap { v in places.map { cos(2 * Double.pi * v * $0) } }, shape: [values.count, places.count])
        }

        /// Of the antialiased bicubic, (frequencies): Keys' kernel with a = -1/2, as wide as shrinking needs it.
        func bicubic() throws -> Tensor {
            let places = (-2 * factor..<2 * factor).map { Double($0) + (factor % 2 == 0 ? 0.5 : 0) }
            let weights = places.map { place -> Double in
                let t = abs(place) / Double(factor)
                return t < 1
                    ? 1.5 * t * t * t - 2.5 * t * t + 1 : t < 2 ? -0.5 * t * t * t + 2.5 * t * t - 4 * t + 2 : 0
            }
            let total = weights.reduce(0, +)
            return try cosines(places).multiplied(by: Tensor(weights.map { $0 / total }, shape: [places.count, 1]))
        }
    }

    /// - Parameter response: of the operator, at all pairs of frequencies.
    private static func taps(_ response: Tensor, _ frequencies: Frequencies) throws -> Tensor {
        let (values, counts) = (frequencies.values, frequencies.counts)
        // 1/f in amplitudes; the mean, which both keep, is left to the condition on the sum.
        let power = try Tensor(
            values.indices.flatMap { i in
                values.indices.map { j in
                    i + j == 0 ? 0 : counts[i] * counts[j] / (values[i] * values[i] + values[j] * values[j])
                }
            }, shape: [values.count, values.count])
        let bicubic = try frequencies.bicubic()
        let lags = try frequencies.cosines((0...2 * reach).map { Double($0 * frequencies.factor) })
        func correlations(_ other: Tensor) throws -> [[Double]] {
            let sums: [Double] = try lags.transposed(0, 1).multiplied(by: power * response * other)
                .multiplied(by: lags).array()
            return stride(from: 0, to: sums.count, by: 2 * reach + 1).map { Array(sums[$0...($0 + 2 * reach)]) }
        }
        let own = try correlations(response)
        let both = try correlations(bicubic.multiplied(by: bicubic.transposed(0, 1)))

        // Places that symmetry gives the same tap, by (|dy|, |dx|) with the smaller first.
        var members: [[(Int, Int)]] = []
        for a in 0...reach {
            for b in a...reach {
                members.append(
                    (-reach...reach).flatMap { dy in
                        (-reach...reach).compactMap { dx in
                            min(abs(dy), abs(dx)) == a && max(abs(dy), abs(dx)) == b ? (dy, dx) : nil
                        }
                    })
            }
        }
        // The normal equations, and the condition with its multiplier.
        let count = members.count
        var system = [[Double]](repeating: [Double](repeating: 0, count: count + 2), count: count + 1)
        for (i, places) in members.enumerated() {
            for (dy, dx) in places {
                system[i][count + 1] += both[abs(dy)][abs(dx)]
                for (j, others) in members.enumerated() {
                    for (ey, ex) in others { system[i][j] += own[abs(dy - ey)][abs(dx - ex)] }
                }
            }
            system[i][count] = Double(places.count)
            system[count][i] = Double(places.count)
        }
        system[count][count + 1] = 1
        let solution = solve(system)
        let size = 2 * reach + 1
        var taps = [Double](repeating: 0, count: size * size)
        for (places, value) in zip(members, solution) {
            for (dy, dx) in places { taps[(dy + reach) * size + dx + reach] = value }
        }
        return try Tensor(taps, shape: [size, size])
    }

    /// Gaussian elimination with pivots; the right side is the last column.
    private static func solve(_ system: [[Double]]) -> [Double] {
        var rows = system
        for column in rows.indices {
            let pivot = rows[column...].indices.max { abs(rows[$0][column]) < abs(rows[$1][column]) } ?? column
            rows.swapAt(column, pivot)
            for row in rows.indices where row != column && rows[row][column] != 0 {
                let ratio = rows[row][column] / rows[column][column]
                for k in column...rows.count { rows[row][k] -= ratio * rows[column][k] }
            }
        }
        return rows.indices.map { rows[$0][rows.count] / rows[$0][$0] }
    }
}
