import Foundation
import Networks
import TensorKit
import Weights

/// FFDNet for colour pictures (Zhang, Zuo & Zhang, "FFDNet: Toward a Fast and Flexible Solution for CNN based Image Denoising", 2018):
/// twelve convolutions of 96 channels over pixels unshuffled by 2, with the noise's strength as one more channel.
///
/// It was trained for a sigma of up to 75 of 255 levels, 0.588 in units of [-1, 1]; `estimate` goes beyond. Weights: one safetensors file
/// with the authors' names, `model.0.weight` (96, 13, 3, 3) ... `model.22.bias` (12). Cost: 0.43 MFLOP for each pixel.
public struct FFDNet: NoiseConditionalDenoiser {
    public let device: Device
    public let dtype: DType
    let layers: [Convolution]
    private let format: MemoryFormat

    public var frameMultiple: Int { 2 }
    public var sigmas: ClosedRange<Double> { 0...2 * 75 / 255.0 }

    /// - Parameters:
    ///   - weights: the safetensors file.
    ///   - dtype: the type that it runs in.
    public init(
        weights url: URL? = nil, dtype: DType = .float32, device: Device = .cpu, format: MemoryFormat = .channelsLast
    ) throws {
        try Engine.require(device)
        self.device = device
        self.dtype = dtype
        self.format = format
        layers = try WeightStore(at: url ?? NetworkLibrary.url(of: .ffdnetColor)).build(
            dtype: dtype, device: device, format: format
        ) { w in
            // An nn.Sequential with a ReLU between two convolutions; 12 colours (3 of 2 x 2 pixels) and the noise go in.
            try (0..<12).map { try Convolution(w["model"][2 * $0], $0 == 0 ? 13 : 96, $0 == 11 ? 12 : 96) }
        }
    }

    public func denoise(_ noisy: Tensor, sigma: Double) throws -> Tensor {
        guard noisy.rank == 4, noisy.size(1) == 3, noisy.size(2) % 2 == 0, noisy.size(3) % 2 == 0, noisy.count > 0
        else {
            throw ModelError.mismatch("FFDNet takes pictures (n, 3, height, width) of even sides, not \(noisy.shape).")
        }
        // Red, green, blue in [0, 1]; sigma in the same units.
        let pixels = try ((noisy + 1) / 2).to(dtype).pixelUnshuffled(2)
        let level = try Tensor.full(
            [pixels.size(0), 1, pixels.size(2), pixels.size(3)], sigma / 2, dtype: dtype, device: device)
        var h = try Tensor.concatenate([pixels, level], along: 1).contiguous(format)
        for (index, layer) in layers.enumerated() {
            h = try layer(h)
            if index < layers.count - 1 { try h.formRelu() }
        }
        return try h.pixelShuffled(2).to(noisy.dtype).contiguous() * 2 - 1
    }
}
