import Foundation
import TensorKit
import Weights

/// Sinusoids of a number at geometrically spaced frequencies (Ho et al. 2020), cosines first as SDXL has them.
struct Sinusoids: Sendable {
    let channels: Int
    let cosineFirst: Bool
    let frequencyShift: Double

    /// (values.count, channels), float32. The arithmetic is float64: at t = 1000 a float32 angle is off by 1e-4.
    func callAsFunction(_ values: [Double]) throws -> Tensor {
        let half = channels / 2
        var result: [Float] = []
        result.reserveCapacity(values.count * channels)
        for value in values {
            let angles = (0..<half).map { value * exp(-log(10_000) * Double($0) / (Double(half) - frequencyShift)) }
            let sines = angles.map { Float(sin($0)) }
            let cosines = angles.map { Float(cos($0)) }
            result += cosineFirst ? cosines + sines : sines + cosines
            if channels % 2 == 1 { result.append(0) }
        }
        return try Tensor(result, shape: [values.count, channels])
    }
}

/// Two linear layers with a SiLU between them.
struct EmbeddingMLP: Sendable {
    let first: Linear
    let second: Linear

    init(_ w: WeightScope, _ input: Int, _ output: Int) throws {
        first = try Linear(w["linear_1"], input, output)
        second = try Linear(w["linear_2"], output, output)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try second(first(x).silu()) }
}
