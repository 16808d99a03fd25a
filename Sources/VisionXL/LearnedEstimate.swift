import Diffusion
import InverseProblems
import TensorKit

/// A first estimate by a network that enlarges pictures, for measurements of smaller frames. The network is told nothing of the measurement: what
/// it is given is brought nearer to what it was trained on, and what it makes of that is held to the measurement (Docs/DataStep.md).
package struct LearnedEstimate {
    let network: any Enlargement
    /// Averages over time what stands still in it.
    var steadying = Steadying(strength: 0)

    static func fits(_ measurement: VideoMeasurement) -> Bool {
        fits(measured: measurement.frames.shape, video: measurement.videoShape, hasHoles: measurement.known != nil)
    }

    /// Whether it can be made: frames shrank to a whole part of their size, in colour and without holes.
    package static func fits(measured small: [Int], video large: [Int], hasHoles: Bool) -> Bool {
        let factor = large[2] / small[2]
        return !hasHoles && small[1] == 3 && large[1] == 3 && factor >= 2 && large[2] == factor * small[2]
            && large[3] == factor * small[3]
    }

    /// All frames of a measurement that `fits`.
    ///
    /// Cost: two passes of the network for each frame, and a proximal point.
    /// - Parameters:
    ///   - enlarged: the measurement at the video's size.
    ///   - progress: is told how many frames are done, and stops the work by throwing.
    func frames(
        _ measurement: VideoMeasurement, enlarged: Tensor, progress: (Int) throws -> Void = { _ in }
    ) throws -> Tensor {
        let problem = measurement.operator
        let factor = measurement.videoShape[2] / measurement.frames.size(2)
        // Means of blocks stand for an operator that mixes frames, and the average over time is undone first, as far as it goes.
        let sampling: any LinearOperator = problem.mixesFrames ? try AveragePooling(factor: factor) : problem
        var (small, noise) = (measurement.best, measurement.noise.sigma)
        if problem.mixesFrames {
            let (undone, passed) = try problem.solveProximal(
                measurement.best, around: enlarged, noise: measurement.noise.atLeastRounding, error: Self.averagesError)
            // What undoing makes of noise is noise to the network.
            (small, noise) = (try sampling.apply(undone), max(noise, passed ?? 0))
        }
        // What a lossy coding lost is no noise that could be taken away: it gains 0.02 dB and loses texture.
        let coding = measurement.noise.coding?.sigma ?? 0
        let white = max(noise * noise - coding * coding, 0).squareRoot()
        small =
            try white > Self.denoisedFrom
            ? steadying.applyToMeasurement(small, noise: white) : steadying.applyToStill(small)
        let filter = try SamplingFilter(for: sampling, measurement: small.shape)
        var frames: [Tensor] = []
        for index in 0..<small.size(0) {
            var Y = try small.rows(index..<index + 1)
            if white > Self.denoisedFrom { Y = try network.denoised(Y, sigma: white) }
            frames.append(try estimate(Y, sampling, filter))
            try progress(index + 1)
        }
        return try FirstEstimate.held(Tensor.concatenate(frames, along: 0), to: measurement, steadying)
    }

    /// Less noise is no worse for the network than what it was trained on; rounding of luma and chroma is 0.011.
    private static let denoisedFrom = 0.02
    /// Bounds of the error of averaged frames, in units of [-1, 1], within which the measurement shows it.
    private static let averagesError = FirstEstimate.error...2
    /// The difference between the two samplings, in units of [-1, 1], of which half is taken.
    private static let halfFiltered = 0.0226

    /// One frame, not yet held to the measurement.
    private func estimate(_ Y: Tensor, _ sampling: any LinearOperator, _ filter: SamplingFilter) throws -> Tensor {
        // Where the samplings differ much, as at edges, the network has to be given its own. Where they differ little, the sharper one keeps
        // more of a texture.
        let difference = try filter.apply(Y) - Y
        let local = try GaussianBlur.lowPass(sigma: 2).apply(
            difference.squared().mean(along: [1], keepingDimensions: true))
        // d^6 / (d^6 + half^6), d the root mean square around the pixel.
        let cubed = try (local / (Self.halfFiltered * Self.halfFiltered)).power(3)
        let share = try cubed / (cubed + 1)
        let given = try Y + share * difference
        let shape = try sampling.inputShape(for: Y.shape)
        let size = (height: shape[2], width: shape[3])
        let first = try enlarged(given, to: size)
        // What its picture would have been measured as differs from Y; given as much less of that, it errs less.
        return try enlarged(given + share * (Y - sampling.apply(first)), to: size)
    }

    /// A picture at another size. What the network makes is shrunk to it; where that is too small, the rest is interpolated: to go through the
    /// network twice gains nothing (Docs/DataStep.md).
    private func enlarged(_ Y: Tensor, to size: (height: Int, width: Int)) throws -> Tensor {
        let X = try network.enlarged(Y)
        let height = X.size(2)
        if height == size.height { return X }
        if height < size.height { return try X.resizedBicubic(height: size.height, width: size.width) }
        return height % size.height == 0
            ? try X.averagePooled(height / size.height)
            : try X.resizedBicubic(height: size.height, width: size.width, antialiased: true)
    }
}
