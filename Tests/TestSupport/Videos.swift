import Foundation
import TensorKit

/// Normal numbers that depend on the seed and the shape alone.
public func random(_ shape: [Int], seed: UInt64, dtype: DType = .float32) throws -> Tensor {
    var generator = RandomGenerator(seed: seed)
    return try generator.normal(shape, dtype: dtype)
}

/// A smooth texture that moves from frame to frame, (N, 3, H, W) in [-1, 1].
public func movingTexture(_ frames: Int, _ height: Int, _ width: Int, dtype: DType = .float32) throws -> Tensor {
    var values: [Double] = []
    for t in 0..<frames {
        for c in 0..<3 {
            for i in 0..<height {
                for j in 0..<width {
                    let (y, x) = (Double(i) + 0.7 * Double(t), Double(j) - 0.4 * Double(t))
                    values.append(0.6 * sin(0.35 * x + Double(c)) * cos(0.27 * y) + 0.3 * sin(0.11 * (x + 2 * y)))
                }
            }
        }
    }
    return try Tensor(values, shape: [frames, 3, height, width]).to(dtype)
}
