import Foundation
import TensorKit
import Weights

/// The network of the Fréchet video distance: I3D (Carreira & Zisserman 2017), Inception v1 inflated to three dimensions and trained to
/// name what happens in Kinetics-400's videos.
///
///     let network = try I3D()
///     let features = try Tensor.concatenate(clips.map { try network.features(of: $0) }, along: 0)
///
/// Frames are resized and features taken as the distance's authors do it (Unterthiner et al. 2018), in float32.
public struct I3D: Sendable {
    /// The fewest frames of a clip: the network keeps one of eight, and needs two.
    public static let leastFrames = 9
    /// Numbers that describe a clip: one for each of Kinetics' classes, before the softmax.
    public static let featureCount = 400
    /// The frames' height and width in the network.
    static let side = 224

    private let stem: [Step]
    private let head: (weight: Tensor, bias: Tensor)
    private let device: Device

    private enum Step {
        case unit(Unit)
        case mixed(Mixed)
        /// Maxima over so many frames, rows and columns, so far apart.
        case pool([Int], stride: [Int])
    }

    /// - Parameters:
    ///   - weights: The network's file; nil finds the one that set-up fetched.
    ///   - device: Where the network runs.
    /// - Throws: `WeightsError` where the weights are missing (it says how to get them) or are another network's.
    public init(weights: URL? = nil, device: Device = .cpu) throws {
        self.device = device
        (stem, head) = try WeightStore(at: weights ?? NetworkLibrary.url(of: .i3dKinetics400))
            .build(dtype: .float32, device: device) { scope in
                func unit(_ name: String, _ channels: (Int, Int), _ size: Int, stride: Int = 1) throws -> Step {
                    .unit(try Unit(scope[name], channels, size, stride: stride))
                }
                func mixed(_ name: String, _ input: Int, _ widths: [Int]) throws -> Step {
                    .mixed(try Mixed(scope[name], input, widths))
                }
                let stem: [Step] = [
                    try unit("Conv3d_1a_7x7", (3, 64), 7, stride: 2),
                    .pool([1, 3, 3], stride: [1, 2, 2]),
                    try unit("Conv3d_2b_1x1", (64, 64), 1),
                    try unit("Conv3d_2c_3x3", (64, 192), 3),
                    .pool([1, 3, 3], stride: [1, 2, 2]),
                    try mixed("Mixed_3b", 192, [64, 96, 128, 16, 32, 32]),
                    try mixed("Mixed_3c", 256, [128, 128, 192, 32, 96, 64]),
                    .pool([3, 3, 3], stride: [2, 2, 2]),
                    try mixed("Mixed_4b", 480, [192, 96, 208, 16, 48, 64]),
                    try mixed("Mixed_4c", 512, [160, 112, 224, 24, 64, 64]),
                    try mixed("Mixed_4d", 512, [128, 128, 256, 24, 64, 64]),
                    try mixed("Mixed_4e", 512, [112, 144, 288, 32, 64, 64]),
                    try mixed("Mixed_4f", 528, [256, 160, 320, 32, 128, 128]),
                    .pool([2, 2, 2], stride: [2, 2, 2]),
                    try mixed("Mixed_5b", 832, [256, 160, 320, 32, 128, 128]),
                    try mixed("Mixed_5c", 832, [384, 192, 384, 48, 128, 128]),
                ]
                let logits = scope["Logits"]["Conv3d_0c_1x1"]["conv"]
                let weight = try logits.tensor("weight", [Self.featureCount, 1024, 1, 1, 1])
                return (
                    stem,
                    (try weight.reshaped([Self.featureCount, 1024]), try logits.tensor("bias", [Self.featureCount]))
                )
            }
    }

    /// The features of a clip, taken as a whole: (1, 400).
    ///
    /// Cost: 3.4 GFLOP a frame; the memory grows with the clip.
    /// - Parameter video: (N, 3, H, W) of any real type, pixels in [-1, 1], N at least 9; it is resized to 224x224 whatever its shape.
    /// - Throws: `MetricError` for fewer frames and values that are not finite, `TensorError` from the engine.
    public func features(of video: Tensor) throws -> Tensor {
        try requireVideo(video)
        try requireColour(video)
        let count = video.size(0)
        guard count >= Self.leastFrames else { throw MetricError.clipTooShort(count, least: Self.leastFrames) }
        let frames = try (0..<count).map { index in
            let frame = try video.rows(index..<index + 1).to(device).to(.float32)
            _ = try finiteMean(frame, frame: index)
            return try resized(frame)
        }
        // (N, 3, H, W) -> (1, 3, N, H, W)
        var x = try Tensor.concatenate(frames, along: 0).transposed(0, 1).unsqueezed(0)
        for step in stem {
            switch step {
            case .unit(let unit): x = try unit(x)
            case .mixed(let mixed): x = try mixed(x)
            case .pool(let size, let stride): x = try samePooled(x, size, stride: stride)
            }
        }
        // Means of 7x7 pixels, which are all there are, and of two neighbours in time.
        let pooled = try x.mean(along: [3, 4]).squeezed(0).transposed(0, 1)
        let steps = pooled.size(0) - 1
        let neighbours = try (pooled.rows(0..<steps) + pooled.rows(1..<steps + 1)) / 2
        return try neighbours.linear(head.weight, bias: head.bias).mean(along: [0], keepingDimensions: true)
    }

    /// (1, 3, H, W) with 224x224 pixels: as TensorFlow 1's `resize_bilinear`, which the authors call, samples: without a low-pass, pixel i
    /// at i H / 224, so that the first pixels' corners (not all pixels' centres) coincide.
    private func resized(_ frame: Tensor) throws -> Tensor {
        var result = frame
        for dimension in [2, 3] where frame.size(dimension) != Self.side {
            let size = frame.size(dimension)
            let places = (0..<Self.side).map { Double($0 * size) / Double(Self.side) }
            let lower = places.map { Int($0) }
            let upper = lower.map { min($0 + 1, size - 1) }
            let shape = dimension == 2 ? [Self.side, 1] : [1, Self.side]
            let fractions = try Tensor(zip(places, lower).map { Float($0 - Double($1)) }, shape: shape, device: device)
            let (a, b) = (try result.gathered(lower, along: dimension), try result.gathered(upper, along: dimension))
            result = try a + (b - a) * fractions
        }
        return result
    }
}

/// Zeros around (N, C, T, H, W) as TensorFlow's padding SAME puts them: as many outputs as inputs divided by the stride, rounded up, and
/// where the zeros are odd in number, one more behind than before.
private func samePadded(_ x: Tensor, _ size: [Int], stride: [Int]) throws -> Tensor {
    let amounts = (0..<3).reversed().flatMap { axis in
        let count = x.size(axis + 2)
        let outputs = (count + stride[axis] - 1) / stride[axis]
        let total = max((outputs - 1) * stride[axis] + size[axis] - count, 0)
        return [total / 2, total - total / 2]
    }
    return amounts.allSatisfy { $0 == 0 } ? x : try x.padded(amounts)
}

/// Maxima with the padding SAME. All that is pooled here comes out of a ReLU, so zeros around it change no maximum.
private func samePooled(_ x: Tensor, _ size: [Int], stride: [Int]) throws -> Tensor {
    try samePadded(x, size, stride: stride).maxPooled3D(size, stride: stride)
}

/// Convolution, normalisation by the training set's mean and variance, ReLU.
private struct Unit: Sendable {
    let weight: Tensor
    let bias: Tensor
    let size: [Int]
    let stride: Int

    init(_ scope: WeightScope, _ channels: (input: Int, output: Int), _ size: Int, stride: Int = 1) throws {
        self.size = [size, size, size]
        self.stride = stride
        let kernel = try scope["conv"].tensor("weight", [channels.output, channels.input, size, size, size])
        let norm = scope["norm"]
        let factor = try (norm.tensor("variance", [channels.output]) + 1e-3).power(-0.5)
        // The normalisation is linear: it goes into the convolution.
        weight = try kernel * factor.reshaped([channels.output, 1, 1, 1, 1])
        bias = try norm.tensor("bias", [channels.output]) - norm.tensor("mean", [channels.output]) * factor
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let padded = try samePadded(x, size, stride: [stride, stride, stride])
        var result = try padded.convolved3D(weight, bias: bias, stride: stride)
        try result.formRelu()
        return result
    }
}

/// Inception's four branches side by side.
private struct Mixed: Sendable {
    let branches: [[Unit]]

    init(_ scope: WeightScope, _ input: Int, _ widths: [Int]) throws {
        func unit(_ branch: Int, _ name: String, _ channels: (Int, Int), _ size: Int) throws -> Unit {
            try Unit(scope["Branch_\(branch)"][name], channels, size)
        }
        branches = [
            [try unit(0, "Conv3d_0a_1x1", (input, widths[0]), 1)],
            [
                try unit(1, "Conv3d_0a_1x1", (input, widths[1]), 1),
                try unit(1, "Conv3d_0b_3x3", (widths[1], widths[2]), 3),
            ],
            [
                try unit(2, "Conv3d_0a_1x1", (input, widths[3]), 1),
                try unit(2, "Conv3d_0b_3x3", (widths[3], widths[4]), 3),
            ],
            [try unit(3, "Conv3d_0b_1x1", (input, widths[5]), 1)],
        ]
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let pooled = try samePooled(x, [3, 3, 3], stride: [1, 1, 1])
        return try Tensor.concatenate(
            branches.enumerated().map { index, units in
                try units.reduce(index == 3 ? pooled : x) { try $1($0) }
            }, along: 1)
    }
}
