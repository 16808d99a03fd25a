import Synchronization
import TensorKit

/// A sparse matrix, by rows.
struct SparseMatrix: Sendable {
    var rows: [[Int: Double]]
    var columnCount: Int

    init(rows: Int, columns: Int) {
        self.rows = Array(repeating: [:], count: rows)
        columnCount = columns
    }

    init(dense: [[Double]]) {
        rows = dense.map { row in
            Dictionary(
                uniqueKeysWithValues: row.enumerated().filter { $0.element != 0 }.map { ($0.offset, $0.element) })
        }
        columnCount = dense.first?.count ?? 0
    }

    func times(_ right: SparseMatrix) -> SparseMatrix {
        var result = SparseMatrix(rows: rows.count, columns: right.columnCount)
        for (row, entries) in rows.enumerated() {
            for (middle, factor) in entries {
                for (column, value) in right.rows[middle] { result.rows[row][column, default: 0] += factor * value }
            }
        }
        return result
    }

    var transposed: SparseMatrix {
        var result = SparseMatrix(rows: columnCount, columns: rows.count)
        for (row, entries) in rows.enumerated() {
            for (column, value) in entries { result.rows[column][row] = value }
        }
        return result
    }
}

/// The same matrix M along one axis of a video, for an axis of any length; blurs and temporal averages are made of it.
///
/// M is banded, whatever happens at its borders. It is cut into blocks of 64 rows (256 on a GPU), each of them a product of two dense matrices over the
/// columns that it reaches: on a CPU that ran twice as fast as channels-last depthwise convolutions and seven times as fast as contiguous
/// ones, and the transposed matrix is the exact adjoint for every boundary and for frames smaller than the kernel.
final class AxisMap: Sendable {
    private let matrix: @Sendable (_ length: Int) -> SparseMatrix
    private let cache = Cache<Key, [Block]>()
    private let factors = Cache<Int, AxisMatrix>()

    private struct Key: Hashable {
        let length: Int
        let isTransposed: Bool
        let dtype: DType
        let device: Device
    }

    /// Consecutive rows: the sum of one or more dense pieces over runs of columns (a circular band has two at its ends).
    private struct Block: Sendable {
        let rows: Range<Int>
        let pieces: [(from: Int, matrix: Tensor)]
    }

    /// - Parameter matrix: M for an axis of a given length.
    init(_ matrix: @escaping @Sendable (_ length: Int) -> SparseMatrix) { self.matrix = matrix }

    /// M for an axis of a length, always the same object.
    func factor(length: Int) throws(TensorError) -> AxisMatrix {
        try factors.value(for: length) { AxisMatrix(matrix(length)) }
    }

    /// M x, or M' x, along an axis of (N, C, H, W).
    /// - Parameter length: the number of M's columns (M' x has that length).
    func product(_ x: Tensor, along axis: Int, length: Int, transposed: Bool) throws(TensorError) -> Tensor {
        let x = try x.contiguous()
        let blocks = try blocks(Key(length: length, isTransposed: transposed, dtype: x.dtype, device: x.device))
        func product(_ block: Block) throws(TensorError) -> Tensor {
            var terms: [Tensor] = []
            for (from, matrix) in block.pieces {
                terms.append(try Self.multiply(matrix, x.narrow(axis, from: from, count: matrix.size(1)), along: axis))
            }
            var sum = terms[0]
            for term in terms.dropFirst() { sum = try sum.adding(term) }
            return sum
        }
        if blocks.count == 1 { return try product(blocks[0]) }
        var shape = x.shape
        shape[axis] = blocks.last?.rows.upperBound ?? 0
        var result = try Tensor.empty(shape, dtype: x.dtype, device: x.device)
        for block in blocks { try result.replace(along: axis, from: block.rows.lowerBound, with: product(block)) }
        return result
    }

    /// A dense matrix times x, along an axis of (N, C, H, W).
    static func multiply(_ matrix: Tensor, _ x: Tensor, along axis: Int) throws(TensorError) -> Tensor {
        switch axis {
        case 3: return try x.multiplied(by: matrix.transposed(0, 1))
        case 2: return try matrix.multiplied(by: x)
        default:
            // Frames (or channels) as rows of one matrix.
            let shape = x.shape
            let flat = try x.reshaped(Array(shape[..<axis]) + [shape[axis], -1])
            return try matrix.multiplied(by: flat).reshaped(
                Array(shape[..<axis]) + [matrix.size(0)] + Array(shape[(axis + 1)...]))
        }
    }

    /// Makes what M x needs for an axis of a length.
    func prepare(length: Int, _ dtype: DType, _ device: Device) throws(TensorError) {
        _ = try blocks(Key(length: length, isTransposed: false, dtype: dtype, device: device))
    }

    /// For a GPU fewer and larger blocks: it multiplies zeros more quickly than it is told to leave them out.
    private func blocks(_ key: Key) throws(TensorError) -> [Block] {
        try cache.value(for: key) { () throws(TensorError) in
            try makeBlocks(key, rowsPerBlock: key.device == .cpu ? 64 : 256)
        }
    }

    private func makeBlocks(_ key: Key, rowsPerBlock: Int) throws(TensorError) -> [Block] {
        let matrix = key.isTransposed ? matrix(key.length).transposed : matrix(key.length)
        var blocks: [Block] = []
        for start in stride(from: 0, to: matrix.rows.count, by: rowsPerBlock) {
            let rows = start..<min(start + rowsPerBlock, matrix.rows.count)
            var pieces: [(from: Int, matrix: Tensor)] = []
            for run in Self.runs(Set(matrix.rows[rows].flatMap(\.keys)).sorted()) {
                let values = matrix.rows[rows].flatMap { row in run.map { row[$0] ?? 0 } }
                pieces.append(
                    (run.lowerBound, try Tensor(values, shape: [rows.count, run.count]).to(key.dtype).to(key.device)))
            }
            blocks.append(Block(rows: rows, pieces: pieces))
        }
        return blocks
    }

    /// Ranges that cover sorted columns without long gaps; a row of zeros gets one column.
    private static func runs(_ columns: [Int]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for column in columns {
            if let last = runs.last, column < last.upperBound + 16 {
                runs[runs.count - 1] = last.lowerBound..<column + 1
            } else {
                runs.append(column..<column + 1)
            }
        }
        return runs.isEmpty ? [0..<1] : runs
    }
}

/// Values that are costly to make, kept by key for as long as the operator lives.
final class Cache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let values = Mutex<[Key: Value]>([:])

    func value(for key: Key, _ make: () throws(TensorError) -> Value) throws(TensorError) -> Value {
        if let value = values.withLock({ $0[key] }) { return value }
        let value = try make()
        values.withLock { $0[key] = value }
        return value
    }
}
