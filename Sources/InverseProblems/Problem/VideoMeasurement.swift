import TensorKit

/// What was measured of a video, and all that is known of how: Y = A(X) + noise.
///
/// A value that every method takes, so that none can forget the noise. (Foundation has a `Measurement`, of lengths and weights.)
///
///     let A = try Problem(task: "deblur").operator(height: 768, width: 1280)
///     let measurement = try VideoMeasurement(frames, operator: A, noise: .rounding(toBits: 8))
public struct VideoMeasurement: Sendable {
    /// Y, (N, C, h, w) in [-1, 1], float32 or float64. 0 in holes, whatever stood there.
    public private(set) var frames: Tensor
    /// A.
    public let `operator`: any LinearOperator
    /// Holes: 0 where nothing was measured, 1 elsewhere, as `SeparatedForm.mask`; nil where every pixel was.
    public private(set) var known: Tensor?
    /// sigma_y and where it comes from.
    public let noise: NoiseFigure
    /// Y with what could be told of its rounding taken away (`dequantize`); nil where nothing was. A data step made it.
    public internal(set) var dequantized: Tensor?
    /// |Y|, where a data step has asked for it.
    var norm: Double?
    /// |A| for such videos, where A has no separated form.
    private(set) var operatorNorm = EstimatedNorm()
    /// The shape of X, (N, C, H, W).
    public private(set) var videoShape: [Int]

    /// - Parameters:
    ///   - frames: Y. Types other than float64 become float32.
    ///   - problem: A, which must be able to produce Y's shape.
    ///   - noise: how far Y is from A(X): `.none` for an exact one.
    /// - Throws: `ProblemError` for a shape that the operator does not produce, and for a noise that is no number from 0 on;
    ///   `TensorError` from the engine. Cost: a pass over Y where there are holes.
    public init(_ frames: Tensor, operator problem: any LinearOperator, noise: NoiseFigure) throws {
        guard noise.sigma >= 0, noise.sigma.isFinite else {
            throw ProblemError.invalidParameter("The measurement's noise must be 0 or more, and is \(noise.sigma).")
        }
        videoShape = try problem.inputShape(for: frames.shape)
        `operator` = problem
        self.noise = noise
        self.frames = frames.dtype == .float64 ? frames : try frames.to(.float32)
        if let mask = try problem.known(inMeasurement: frames.shape) {
            let mask = try mask.to(self.frames.dtype).to(frames.device)
            known = mask
            // Not times the mask: what stands in a hole need not be a number.
            self.frames = try self.frames.selected(
                where: mask.isGreater(than: 0.5), otherwise: .zeros([], dtype: mask.dtype, device: mask.device))
        }
    }

    /// The same in a type, float32 or float64.
    public func to(_ dtype: DType) throws -> VideoMeasurement {
        var copy = self
        if dtype != frames.dtype { copy.norm = nil }
        copy.frames = try frames.to(dtype)
        copy.known = try known?.to(dtype)
        copy.dequantized = try dequantized?.to(dtype)
        return copy
    }

    /// The same on a device.
    public func to(_ device: Device) throws -> VideoMeasurement {
        var copy = self
        copy.frames = try frames.to(device)
        copy.known = try known?.to(device)
        copy.dequantized = try dequantized?.to(device)
        return copy
    }

    /// Some of the frames on their own, where A does not mix frames.
    package func rows(_ range: Range<Int>) throws -> VideoMeasurement {
        precondition(!`operator`.mixesFrames, "frames that were mixed cannot be taken apart")
        var part = self
        (part.norm, part.operatorNorm) = (nil, EstimatedNorm())
        part.frames = try frames.rows(range)
        part.dequantized = try dequantized?.rows(range)
        part.known = try known.map { try maskRows($0, range) }
        part.videoShape = [range.count] + videoShape[1...]
        return part
    }

    /// What the data say most exactly: Y without its rounding where that could be told, else Y.
    public var best: Tensor { dequantized ?? frames }

    /// Whether a measured frame has fewer pixels than a restored one.
    public var shrinks: Bool { frames.size(2) * frames.size(3) < videoShape[2] * videoShape[3] }

    /// |Y - A X| / |Y|, or |Y - A X| for a measurement of zeros. Waits for the device.
    public func residual(of video: Tensor) throws -> Double {
        let squares = try Tensor.numbers([residualSquare(of: video), frames.innerProduct(frames)])
        return squares[0].squareRoot() / (squares[1] > 0 ? squares[1].squareRoot() : 1)
    }

    /// |Y - A X|^2 as a number that stays on the device.
    func residualSquare(of video: Tensor) throws -> Tensor {
        let rest = try frames - `operator`.apply(video)
        return try rest.innerProduct(rest)
    }
}
