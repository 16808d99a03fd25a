import Foundation
import TensorKit
import Weights

/// The learned perceptual distance LPIPS v0.1 (Zhang, Isola, Efros, Shechtman & Wang 2018): how different two pictures look to a network
/// that was trained to name things, weighed as people judged. 0 for equal frames; about 0.1 looks alike, 0.7 does not.
///
///     let lpips = try LPIPS()
///     let score = try lpips.distance(restored, truth)
///
/// The numbers are those of the authors' program with its linear heads, in float32.
public struct LPIPS: Sendable {
    /// The network whose features are compared.
    public enum Network: String, CaseIterable, Sendable {
        /// What the authors recommend for measuring.
        case alexnet
        /// About twenty times as much work.
        case vgg16

        /// Its file in `NetworkLibrary`.
        public var weights: NetworkLibrary.Network { self == .alexnet ? .lpipsAlexNet : .lpipsVGG16 }

        fileprivate var steps: [Step] {
            switch self {
            case .alexnet:
                [
                    .convolution(64, size: 11, stride: 4, padding: 2), .features, .pool(3),
                    .convolution(192, size: 5, stride: 1, padding: 2), .features, .pool(3),
                    .convolution(384, size: 3, stride: 1, padding: 1), .features,
                    .convolution(256, size: 3, stride: 1, padding: 1), .features,
                    .convolution(256, size: 3, stride: 1, padding: 1), .features,
                ]
            case .vgg16:
                [[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]].enumerated().flatMap {
                    block, widths in
                    (block == 0 ? [] : [.pool(2)]) + widths.map { .convolution($0, size: 3, stride: 1, padding: 1) } + [
                        .features
                    ]
                }
            }
        }

        /// The least height and width of which something is left at the last convolution.
        fileprivate var leastSize: Int { self == .alexnet ? 31 : 16 }
    }

    fileprivate enum Step {
        /// A square convolution to so many channels, and a ReLU.
        case convolution(Int, size: Int, stride: Int, padding: Int)
        /// Maxima of windows that lie two pixels apart.
        case pool(Int)
        /// What has been computed here is compared.
        case features
    }

    public let network: Network
    private let layers: [Layer]
    private let shift: Tensor
    private let scale: Tensor
    private let device: Device

    private enum Layer {
        case convolution(weight: Tensor, bias: Tensor, stride: Int, padding: Int)
        case pool(Int)
        /// (1, C, 1, 1): the weight of each channel's difference.
        case features(head: Tensor)
    }

    /// - Parameters:
    ///   - weights: The network's file; nil finds the one that set-up fetched.
    ///   - device: Where the network runs.
    /// - Throws: `WeightsError` where the weights are missing (it says how to get them) or are another network's.
    public init(_ network: Network = .alexnet, weights: URL? = nil, device: Device = .cpu) throws {
        self.network = network
        self.device = device
        layers = try WeightStore(at: weights ?? NetworkLibrary.url(of: network.weights))
            .build(dtype: .float32, device: device, format: .channelsLast) { scope in
                var (channels, convolutions, heads) = (3, 0, 0)
                return try network.steps.map { step in
                    switch step {
                    case .convolution(let width, let size, let stride, let padding):
                        defer { (channels, convolutions) = (width, convolutions + 1) }
                        return .convolution(
                            weight: try scope["conv"][convolutions].tensor("weight", [width, channels, size, size]),
                            bias: try scope["conv"][convolutions].tensor("bias", [width]), stride: stride,
                            padding: padding)
                    case .pool(let size):
                        return .pool(size)
                    case .features:
                        defer { heads += 1 }
                        return .features(head: try scope["lin"][heads].tensor("weight", [1, channels, 1, 1]))
                    }
                }
            }
        // The authors' scaling layer: ImageNet's mean and deviation for pixels in [-1, 1].
        shift = try Tensor([-0.030, -0.088, -0.188] as [Float], shape: [1, 3, 1, 1], device: device)
        scale = try Tensor([0.458, 0.448, 0.450] as [Float], shape: [1, 3, 1, 1], device: device)
    }

    /// The distance of each frame of `a` to the same frame of `b`. Either may come first.
    ///
    /// Cost: 4 GFLOP a pair of 256x256 with AlexNet and 80 with VGG16, in proportion to the pixels; one pair of frames at a time.
    /// - Parameters:
    ///   - a: (N, 3, H, W) of any real type, pixels in [-1, 1]; H and W at least 31 (AlexNet) or 16 (VGG16).
    ///   - b: The same shape; it may be on another device.
    /// - Throws: `MetricError` for shapes that differ, small frames and values that are not finite, `TensorError` from the engine.
    public func distance(_ a: Tensor, _ b: Tensor) throws -> VideoScore {
        try requireAlike(a, b)
        return VideoScore(
            perFrame: try (0..<a.size(0)).map { index in
                try distance(ofFrame: index, a.rows(index..<index + 1), b.rows(index..<index + 1))
            })
    }

    /// The distance of frame `index` of both videos, (1, C, H, W).
    func distance(ofFrame index: Int, _ x: Tensor, _ y: Tensor) throws -> Double {
        try requireColour(x)
        let (height, width) = (x.size(2), x.size(3))
        guard min(height, width) >= network.leastSize else {
            throw MetricError.framesTooSmall(height: height, width: width, least: network.leastSize)
        }
        let pair = try [x, y].map { try $0.to(device).to(.float32) }
        // A ReLU would hide an infinity.
        for frame in pair { _ = try finiteMean(frame, frame: index) }
        return try finiteMean(distance(ofPair: Tensor.concatenate(pair, along: 0)), frame: index)
    }

    /// Equation 1 of the paper for the first and the second of two frames.
    private func distance(ofPair pair: Tensor) throws -> Tensor {
        var x = try ((pair - shift) / scale).contiguous(.channelsLast)
        var distances: [Tensor] = []
        for layer in layers {
            switch layer {
            case .convolution(let weight, let bias, let stride, let padding):
                x = try x.convolved(weight, bias: bias, stride: stride, padding: padding)
                try x.formRelu()
            case .pool(let size):
                x = try x.maxPooled(size, stride: 2)
            case .features(let head):
                let length = try x.squared().sum(along: [1], keepingDimensions: true).squareRoot()
                let directions = try x / (length + 1e-10)
                let difference = try directions.rows(0..<1) - directions.rows(1..<2)
                distances.append(try difference.squared().convolved(head).mean())
            }
        }
        return try Tensor.stack(distances).sum()
    }
}
