import TensorKit

/// A network that removes white Gaussian noise of a known strength from pictures: what a pixel-space prior is made of.
public protocol NoiseConditionalDenoiser: Sendable {
    /// Where it runs.
    var device: Device { get }
    /// Its pictures' sides are multiples of this many pixels.
    var frameMultiple: Int { get }
    /// The noise's standard deviations that it was trained for, in units of [-1, 1].
    var sigmas: ClosedRange<Double> { get }
    /// The clean estimate of pictures (n, 3, H, W), in [-1, 1] before noise was added.
    /// - Parameter sigma: the noise's standard deviation in the same units, within `sigmas`.
    func denoise(_ noisy: Tensor, sigma: Double) throws -> Tensor
}

extension NoiseConditionalDenoiser {
    /// The clean estimate at any sigma from 0 on, brought into [-1, 1].
    ///
    /// Above twice the largest sigma the pictures are first pooled by a power of two, which divides the noise's sigma by it, and the
    /// estimate is enlarged again (bicubic); what is still above is scaled down, sigma with it. With FFDNet on four photographs
    /// of kodak24 (256 x 256) that gave 24.4, 21.4, 18.8 and 14 dB at a sigma of 0.8, 2, 8 and 60; scaling alone 24.4, 21.0, 16.5 and 7.
    /// - Parameter noisy: (n, 3, H, W) of any size, float32.
    public func estimate(_ noisy: Tensor, sigma: Double) throws -> Tensor {
        let (height, width, largest) = (noisy.size(2), noisy.size(3), sigmas.upperBound)
        var factor = 1
        while 2 * Double(factor) * largest < sigma, factor < 128, 2 * factor <= min(height, width) { factor *= 2 }
        let multiple = factor * frameMultiple
        let bottom = (multiple - height % multiple) % multiple
        let right = (multiple - width % multiple) % multiple
        var x = bottom + right > 0 ? try noisy.padded([0, right, 0, bottom], .replicate) : noisy
        let padded = (height: x.size(2), width: x.size(3))
        if factor > 1 { x = try x.averagePooled(factor) }
        let rest = sigma / Double(factor)
        let scale = max(1, rest / largest)
        if scale > 1 { x = try x / scale }
        var clean = try denoise(x, sigma: max(rest / scale, sigmas.lowerBound))
        if scale > 1 { clean = try clean * scale }
        if factor > 1 { clean = try clean.resizedBicubic(height: padded.height, width: padded.width) }
        if bottom + right > 0 { clean = try clean.narrow(2, from: 0, count: height).narrow(3, from: 0, count: width) }
        return try clean.clamped(to: -1...1).contiguous()
    }
}
