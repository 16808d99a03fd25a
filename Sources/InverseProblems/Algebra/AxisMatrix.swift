import TensorKit

/// What an operator does along one axis of a video.
public enum AxisFactor: Sendable, Hashable {
    case identity
    /// Means of successive blocks of so many, 1 or more.
    case pooling(Int)
    case matrix(AxisMatrix)

    /// The matrix for an axis of a length.
    func matrix(length: Int) -> SparseMatrix {
        switch self {
        case .matrix(let factor): return factor.matrix
        case .identity: return AxisFactor.pooling(1).matrix(length: length)
        case .pooling(let size):
            let size = max(size, 1)
            var matrix = SparseMatrix(rows: length / size, columns: length)
            for column in 0..<matrix.rows.count * size { matrix.rows[column / size][column] = 1 / Double(size) }
            return matrix
        }
    }
}

/// A matrix along one axis, with its singular values and vectors: computed in float64 when they are first needed (1280 x 1280: 1.4 s) and
/// kept as long as it lives. So an operator keeps its factors rather than making them anew. Equal to itself alone.
public final class AxisMatrix: Sendable, Hashable {
    let matrix: SparseMatrix

    private struct Key: Hashable {
        let dtype: DType
        let device: Device
    }
    private let cache = Cache<Key, Decomposition>()

    /// B = U diag(s) V' without what is zero but for rounding.
    struct Decomposition: Sendable {
        /// U, (rows, rank).
        let left: Tensor
        /// s, (rank), the largest first.
        let values: Tensor
        /// V, (columns, rank).
        let right: Tensor
        /// s once more.
        let singularValues: [Double]

        /// Those above a bound, the largest at least, and as many more as make whole blocks.
        func prefix(above bound: Double, multipleOf block: Int = 1) throws(TensorError) -> Decomposition {
            let above = Swift.max(1, singularValues.prefix { $0 > bound }.count)
            let kept = (above + block - 1) / block * block
            guard kept < singularValues.count else { return self }
            return Decomposition(
                left: try left.narrow(1, from: 0, count: kept), values: try values.narrow(0, from: 0, count: kept),
                right: try right.narrow(1, from: 0, count: kept), singularValues: Array(singularValues.prefix(kept)))
        }
    }

    init(_ matrix: SparseMatrix) { self.matrix = matrix }

    /// - Parameter rows: finite numbers, as many in every row.
    /// - Throws: `ProblemError.invalidParameter` for anything else.
    public init(rows: [[Double]]) throws(ProblemError) {
        let columns = rows.first?.count ?? 0
        guard columns > 0, rows.allSatisfy({ $0.count == columns && $0.allSatisfy(\.isFinite) }) else {
            throw .invalidParameter("A matrix needs rows of the same number of finite values, one at least.")
        }
        matrix = SparseMatrix(dense: rows)
    }

    public static func == (a: AxisMatrix, b: AxisMatrix) -> Bool { a === b }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }

    func decomposition(_ dtype: DType, _ device: Device) throws(TensorError) -> Decomposition {
        try cache.value(for: Key(dtype: dtype, device: device)) { () throws(TensorError) in
            if dtype == .float64, device == .cpu { return try decomposed() }
            let exact = try decomposition(.float64, .cpu)
            func here(_ tensor: Tensor) throws(TensorError) -> Tensor { try tensor.to(dtype).to(device) }
            return Decomposition(
                left: try here(exact.left), values: try here(exact.values), right: try here(exact.right),
                singularValues: exact.singularValues)
        }
    }

    private func decomposed() throws(TensorError) -> Decomposition {
        let dense = matrix.rows.flatMap { row in (0..<matrix.columnCount).map { row[$0] ?? 0 } }
        let (left, values, right) = try Tensor(dense, shape: [matrix.rows.count, matrix.columnCount])
            .singularValueDecomposition()
        let all = try values.array(of: Double.self)
        let rank = max(1, all.prefix { $0 > 0x1p-50 * all[0] }.count)
        return Decomposition(
            left: try left.narrow(1, from: 0, count: rank).contiguous(),
            values: try values.narrow(0, from: 0, count: rank),
            right: try right.narrow(0, from: 0, count: rank).transposed(0, 1).contiguous(),
            singularValues: Array(all.prefix(rank)))
    }
}
