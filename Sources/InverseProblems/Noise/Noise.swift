import TensorKit

/// Streams of `RandomGenerator`, so that one seed for everything does not mean the same numbers twice.
enum RandomStream {
    static let mask: UInt64 = 0x6d61_736b
    static let noise: UInt64 = 0x6e6f_6973
}

/// Y + sigma n, n of the standard normal distribution; the same for a seed on every machine.
/// - Parameter sigma: in the units of [-1, 1], so that an 8-bit level is 2/255; 0 or more.
public func addNoise(to measurement: Tensor, sigma: Double, seed: UInt64) throws -> Tensor {
    guard sigma.isFinite, sigma >= 0 else {
        throw ProblemError.invalidParameter("The noise's sigma is a number from 0 on, not \(sigma).")
    }
    if sigma == 0 { return measurement }
    var generator = RandomGenerator(seed: seed, stream: RandomStream.noise)
    return try measurement.adding(
        generator.normal(measurement.shape, dtype: measurement.dtype, device: measurement.device), times: sigma)
}

extension Tensor {
    /// What a file of integers keeps of pixels in [-1, 1]: clipped to that range and rounded to the nearest of 2^bits levels.
    public func rounded(toBits bits: Int) throws -> Tensor {
        let half = Double((1 << bits) - 1) / 2
        return try ((clamped(to: -1...1) + 1) * half).rounded() / half - 1
    }
}
