public import TensorKit

// Between frames of integers and the tensors that restoration computes with: 0 ... 255 (or 65535) against -1 ... 1.
// Rounding is exact both ways: frames -> tensor -> frames of the same depth gives the same frames.

extension VideoFrame {
    /// The frame as float32 of shape (3, height, width) in [-1, 1].
    public var tensor: Tensor {
        get throws {
            FrameCounts.countConverted()
            let shape = [height, width, 3]
            let raw: Tensor
            switch pixels {
            case .eightBit(let values): raw = try Tensor(values, shape: shape)
            case .sixteenBit(let values): raw = try Tensor(values, shape: shape)
            case .float(let values): return try Tensor(values, shape: shape).permuted([2, 0, 1]).contiguous()
            }
            let planes = try raw.to(.float32).permuted([2, 0, 1]).contiguous()
            return try planes * (2 / maximum(bitDepth)) - 1
        }
    }

    /// A frame from a tensor of shape (3, height, width), or (1, 3, height, width), on any device.
    ///
    /// Values are clamped to [-1, 1] and rounded to the nearest of 0 ... 255 or 0 ... 65535; of 32 bits they stay as they
    /// are.
    /// Throws `VideoError.badFrame` for another shape or depth.
    public init(tensor: Tensor, bitDepth: Int) throws {
        let planes = tensor.rank == 4 && tensor.size(0) == 1 ? try tensor.select(0, 0) : tensor
        guard planes.rank == 3, planes.size(0) == 3 else {
            throw VideoError.badFrame("a tensor of the shape \(tensor.shape) is not a (3, height, width) picture")
        }
        if bitDepth == 32 {
            let values = try planes.to(.float32).permuted([1, 2, 0]).contiguous()
            try self.init(width: planes.size(2), height: planes.size(1), pixels: .float(values.array()))
            return
        }
        guard bitDepth == 8 || bitDepth == 16 else {
            throw VideoError.badFrame("a frame cannot have \(bitDepth) bits per component")
        }
        let unit = (try planes.to(.float32).clamped(to: -1...1) + 1) as Tensor
        let values = try (unit * (maximum(bitDepth) / 2)).rounded().permuted([1, 2, 0])
        try self.init(
            width: planes.size(2), height: planes.size(1),
            pixels: bitDepth == 8 ? .eightBit(values.array()) : .sixteenBit(values.array()))
    }

    /// The frames of a tensor of shape (N, 3, height, width); see `init(tensor:bitDepth:)`.
    public static func frames(of batch: Tensor, bitDepth: Int) throws -> [VideoFrame] {
        guard batch.rank == 4 else {
            throw VideoError.badFrame("a tensor of the shape \(batch.shape) is not a (N, 3, height, width) batch")
        }
        return try (0..<batch.size(0)).map { try VideoFrame(tensor: batch.select(0, $0), bitDepth: bitDepth) }
    }
}

extension Tensor {
    /// Frames as float32 of shape (N, 3, height, width) in [-1, 1].
    /// Throws `VideoError.badFrame` for no frames or frames of different sizes; depths may differ.
    public init(frames: [VideoFrame]) throws {
        guard let first = frames.first else { throw VideoError.badFrame("a batch of no frames has no size") }
        if let other = frames.first(where: { $0.width != first.width || $0.height != first.height }) {
            throw VideoError.badFrame(
                "a batch mixes frames of \(first.width)x\(first.height) and \(other.width)x\(other.height)")
        }
        self = try Tensor.stack(frames.map { try $0.tensor })
    }
}

private func maximum(_ bitDepth: Int) -> Double { bitDepth == 8 ? 255 : 65535 }
