import Foundation
import TensorKit
import Weights

/// Sinusoids of a number at geometrically spaced frequencies (Ho et al. 2020), cosines first as SDXL has them.
package struct Sinusoids: Sendable {
    package let channels: Int
    package let cosineFirst: Bool
    package let frequencyShift: Double

    package init(channels: Int, cosineFirst: Bool, frequencyShift: Double) {
        (self.channels, self.cosineFirst, self.frequencyShift) = (channels, cosineFirst, frequencyShift)
    }

    /// (values.count, channels), float32. The angles are rounded to float32 as in training, where a timestep of 1000 is off by up to
    /// 6e-5: exact ones would be another input.
    package func callAsFunction(_ values: [Double]) throws -> Tensor {
        let half = channels / 2
        let frequencies = (0..<half).map {
            exp(-Float(log(10_000.0)) * Float($0) / (Float(half) - Float(frequencyShift)))
        }
        var result: [Float] = []
        result.reserveCapacity(values.count * channels)
        for value in values {
            let angles = frequencies.map { Float(value) * $0 }
            let sines = angles.map { sin($0) }
            let cosines = angles.map { cos($0) }
            result += cosineFirst ? cosines + sines : sines + cosines
            if channels % 2 == 1 { result.append(0) }
        }
        return try Tensor(result, shape: [values.count, channels])
    }
}

/// Two linear layers with a SiLU between them.
package struct EmbeddingMLP: Sendable {
    package let first: Linear
    package let second: Linear
    /// Of a condition that is added to the input.
    package let condition: Linear?

    /// - Parameter condition: channels of a condition; nil for none.
    package init(_ w: WeightScope, _ input: Int, _ output: Int, condition: Int? = nil) throws {
        first = try Linear(w["linear_1"], input, output)
        second = try Linear(w["linear_2"], output, output)
        self.condition = try condition.map { try Linear(w["cond_proj"], $0, input, bias: false) }
    }

    /// - Parameter condition: where the layers have one.
    package func callAsFunction(_ x: Tensor, condition c: Tensor? = nil) throws -> Tensor {
        var x = x
        if let condition, let c { x = try x + condition(c) }
        return try second(first(x).silu())
    }
}
