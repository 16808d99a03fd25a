import TensorKit

/// Products and transposes of factors, made once.
final class AxisProducts: Sendable {
    private struct Key: Hashable {
        let factors: [AxisFactor]
        let length: Int?
    }
    private let cache = Cache<Key, AxisMatrix>()

    func product(_ left: AxisMatrix, _ right: AxisMatrix) throws(TensorError) -> AxisMatrix {
        try cache.value(for: Key(factors: [.matrix(left), .matrix(right)], length: nil)) {
            AxisMatrix(left.matrix.times(right.matrix))
        }
    }
    func transposed(_ factor: AxisMatrix) throws(TensorError) -> AxisMatrix {
        try cache.value(for: Key(factors: [.matrix(factor)], length: nil)) { AxisMatrix(factor.matrix.transposed) }
    }

    /// left right, for an axis of a length.
    func product(_ left: AxisFactor, _ right: AxisFactor, length: Int) throws(TensorError) -> AxisFactor {
        switch (left, right) {
        case (.identity, let other), (let other, .identity): return other
        case (.pooling(let a), .pooling(let b)): return .pooling(a * b)
        default:
            return try .matrix(
                cache.value(for: Key(factors: [left, right], length: length)) {
                    let first = right.matrix(length: length)
                    return AxisMatrix(left.matrix(length: first.rows.count).times(first))
                })
        }
    }
    func transposed(_ factor: AxisFactor, length: Int) throws(TensorError) -> AxisFactor {
        if factor == .identity { return factor }
        return try .matrix(
            cache.value(for: Key(factors: [factor], length: length)) {
                AxisMatrix(factor.matrix(length: length).transposed)
            })
    }
}
