import TensorKit

/// A network that makes larger pictures of small ones: what a learned first estimate is made of. It knows nothing of how they were measured;
/// the solver holds its pictures to the measurement.
public protocol Enlargement: Sendable {
    /// Where it runs.
    var device: Device { get }
    /// How many times larger its pictures are, 2 or more.
    var factor: Int { get }
    /// Pictures (n, 3, H, W) of any size in [-1, 1], float32, as (n, 3, factor H, factor W), about [-1, 1].
    func enlarged(_ pictures: Tensor) throws -> Tensor
    /// The same pictures without white noise.
    /// - Parameter sigma: the noise's standard deviation, in units of [-1, 1].
    func denoised(_ pictures: Tensor, sigma: Double) throws -> Tensor
}
