import Diffusion
import InverseProblems
import TensorKit

/// What the start encodes.
public enum FirstEstimate: String, Sendable, Codable, CaseIterable {
    /// The measurement, enlarged where it is smaller (the paper's).
    case measurement
    /// The frames of least variation that the measurement allows, found without a network; where frames shrank, their mean with the
    /// enlargement that fits (Docs/DataStep.md).
    case smooth
    /// What a network makes of smaller frames, held to the measurement; `smooth` where nothing shrank, and for frames with holes or in grey.
    case learned

    /// Some frames of it.
    /// - Parameters:
    ///   - enlargement: the network of the learned one; without it that is the smooth one.
    ///   - steadying: of the learned one, over the frames that are wanted.
    ///   - progress: is told how many frames are done, the last time all that `count(_:of:)` says, and stops the work by throwing.
    func frames(
        _ wanted: Range<Int>, of measurement: VideoMeasurement, _ upsampling: Upsampling,
        enlargement: (any Enlargement)? = nil, steadying: Steadying = Steadying(strength: 0),
        progress: (Int) throws -> Void = { _ in }
    ) throws -> Tensor {
        let full = try measurement.enlarged(upsampling)
        switch self {
        case .learned:
            guard let enlargement, LearnedEstimate.fits(measurement) else {
                return try FirstEstimate.smooth.frames(wanted, of: measurement, upsampling, progress: progress)
            }
            let estimate = LearnedEstimate(network: enlargement, steadying: steadying)
            guard measurement.operator.mixesFrames else {
                return try estimate.frames(measurement.rows(wanted), enlarged: full.rows(wanted), progress: progress)
            }
            return try estimate.frames(measurement, enlarged: full, progress: progress).rows(wanted)
        case .measurement: return try full.rows(wanted)
        case .smooth:
            // A frame that is measured on its own can be estimated on its own.
            guard measurement.operator.mixesFrames else {
                return try Self.smooth(measurement.rows(wanted), from: full.rows(wanted), progress)
            }
            return try Self.smooth(measurement, from: full, progress).rows(wanted)
        }
    }

    /// Frames of whatever origin, each made without its neighbours and without the measurement: averaged over time where they stand still, and
    /// with a proximal step to what was measured.
    static func held(_ X: Tensor, to measurement: VideoMeasurement, _ steadying: Steadying) throws -> Tensor {
        let factor = measurement.videoShape[2] / max(measurement.frames.size(2), 1)
        let steady = try steadying.applyToEstimate(X, factor: factor)
        return try measurement.operator.solveProximal(
            measurement.best, around: steady, ratio: ratio(for: measurement), iterations: 20
        ).solution
    }

    /// How many frames have to be estimated for some that are wanted.
    func count(_ wanted: Int, of measurement: VideoMeasurement) -> Int {
        self == .measurement || wanted == 0 ? 0 : measurement.operator.mixesFrames ? measurement.videoShape[0] : wanted
    }

    /// What an average over time weakens to less than this part is found as what it does not see at all: what would be less than the noise, and a
    /// tenth at most. A blur weakens it further.
    static func leastSeen(of measurement: VideoMeasurement) throws -> Double {
        let mixesPixels = try measurement.operator.separated(for: measurement.videoShape)?.mixesPixels ?? true
        return mixesPixels ? 0.1 : min(0.1, measurement.noise.atLeastRounding / error)
    }

    /// The error, in units of [-1, 1], that enlarged or smoothed frames are thought to have.
    static let error = 0.1

    /// How much more is wrong with such frames than with the measurement: the two variances' ratio.
    private static func ratio(for measurement: VideoMeasurement) -> Double {
        let noise = measurement.noise.atLeastRounding
        return error * error / (noise * noise)
    }

    /// Frames that are estimated together.
    private struct Part {
        let first: Int
        let measurement: VideoMeasurement
        let proximal: Tensor
        /// The same without detail that the measurement does not bring back.
        let smooth: Tensor
    }

    /// What the measurement tells without a network: the frames of least variation where something is missing, since an inversion of
    /// frames with holes keeps them; else the proximal point alone.
    private static func smooth(
        _ measurement: VideoMeasurement, from start: Tensor, _ progress: (Int) throws -> Void
    ) throws -> Tensor {
        let count = start.size(0)
        let ratio = ratio(for: measurement)
        // Frames that stand alone are worked on a few at a time.
        let atOnce =
            measurement.operator.mixesFrames
            ? count : max(1, start.device.pieceSize / (start.count / count))
        var squares = [0.0, 0.0]
        let parts = try stride(from: 0, to: count, by: atOnce).map { first in
            let range = first..<min(first + atOnce, count)
            let part = atOnce < count ? try measurement.rows(range) : measurement
            let proximal = try ProximalMap(part, ratio: ratio)
            let X = try proximal(start.rows(range))
            // What smoothing takes away and the measurement does not bring back is not measured.
            let smooth = try proximal(GaussianBlur.lowPass(sigma: 8).apply(X))
            let difference = try smooth - X
            let both = try Tensor.numbers([difference.innerProduct(difference), X.innerProduct(X)])
            squares = [squares[0] + both[0], squares[1] + both[1]]
            return Part(first: first, measurement: part, proximal: X, smooth: smooth)
        }
        if squares[0].squareRoot() <= 0.005 * squares[1].squareRoot() {
            try progress(count)
            return try Tensor.concatenate(parts.map(\.smooth), along: 0)
        }
        // Where little of a frame's detail was measured, there is less to agree with.
        let isBlurred = try measurement.operator.separated(for: measurement.videoShape)?.mixesPixels ?? true
        let iterations = isBlurred ? 12 : 25
        let least = try parts.map { part in
            let least = try minimizeFrameVariation(part.measurement, start: part.smooth, iterations: iterations) {
                // All of them go on together: a part of the iterations counts as that part of them.
                try progress(part.first + part.smooth.size(0) * $0 / iterations)
            }
            // Both fit the measurement, and err differently: enlargement blurs and least variation flattens what pixels alone do not tell.
            return measurement.shrinks ? try (part.proximal + least) * 0.5 : least
        }
        return try Tensor.concatenate(least, along: 0)
    }
}

/// How small frames are enlarged.
public enum Upsampling: String, Sendable, Codable, CaseIterable {
    /// Every pixel repeated, as in the paper. An inversion keeps the blocks.
    case nearest
    /// Bicubic interpolation.
    case bicubic
}

extension VideoMeasurement {
    /// A measurement at the size of the video: enlarged where the operator shrinks frames, channels repeated where it leaves one of them,
    /// and frames repeated at the ends where it has fewer, or left out there where it has more.
    package func enlarged(_ upsampling: Upsampling) throws -> Tensor {
        var y = best
        let (count, channels, height, width) = (videoShape[0], videoShape[1], videoShape[2], videoShape[3])
        if y.size(2) != height || y.size(3) != width {
            switch upsampling {
            case .nearest: y = try y.upsampledNearest(height: height, width: width)
            case .bicubic: y = try y.resizedBicubic(height: height, width: width)
            }
        }
        if y.size(1) == 1, channels > 1 { y = try y.expanded([-1, channels, -1, -1]).contiguous() }
        let missing = count - y.size(0)
        guard missing != 0 else { return y }
        let last = y.size(0) - 1
        return try y.gathered((0..<count).map { Swift.min(Swift.max($0 - missing / 2, 0), last) }, along: 0)
    }
}
