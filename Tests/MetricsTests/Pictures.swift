import Foundation
import TensorKit

/// Two deterministic videos (N, 3, H, W) in [-1, 1], the second a damaged first, worse in later frames: `picture` of the Python in
/// GoldenMetricsTests.
func pictures(_ count: Int, _ height: Int, _ width: Int, type: DType = .float64) throws -> (Tensor, Tensor) {
    var a: [Double] = []
    var b: [Double] = []
    for n in 0..<count {
        for c in 0..<3 {
            for y in 0..<height {
                for x in 0..<width {
                    let wave = sin(0.3 * Double(x) + 0.5 * Double(c) + 0.2 * Double(n)) * cos(0.2 * Double(y))
                    a.append(0.6 * wave + 0.3 * Double((7 * x + 13 * y + 5 * c) % 17) / 17)
                    let damage = 0.2 * Double((11 * x + 3 * y + 7 * c + 5 * n) % 13) / 13 * Double(1 + n) / 2
                    b.append(0.9 * a[a.count - 1] + damage)
                }
            }
        }
    }
    let shape = [count, 3, height, width]
    return (try Tensor(a, shape: shape).to(type), try Tensor(b, shape: shape).to(type))
}

func isClose(_ a: [Double], _ b: [Double], within tolerance: Double) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { $0 == $1 || abs($0 - $1) <= tolerance }
}

/// (count, width): `features` of Benchmarks/reference/metrics.py.
func features(_ count: Int, _ width: Int, seed: UInt32) throws -> Tensor {
    var state = seed
    let values = (0..<count * width).map { index -> Double in
        state = state &* 1_664_525 &+ 1_013_904_223
        let column = index % width
        return Double(column) / Double(width) + Double(1 + column % 5) * (Double(state) / 4_294_967_296 - 0.5)
    }
    return try Tensor(values, shape: [count, width])
}
