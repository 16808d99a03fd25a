import Foundation
import TensorKit

/// Frames that a measurement allows and in which what looks alike is alike: patches that repeat in a frame, shifted by other fractions of a
/// measured pixel, tell together what none of them tells alone (Glasner, Bagon & Irani 2009). Plug-and-play with the filter of BM3D's first
/// stage in the prior's place, as Danielyan, Foi, Katkovnik & Egiazarian (2008) enlarge pictures, and with momentum:
///
///     V = X + momentum (X - X_last)
///     X_last, X = X, the proximal point of the measurement around filter(V)
///
/// The filter's threshold falls geometrically from iteration to iteration. No objective is minimized, and more iterations are not always better.
///
/// Cost of an iteration: a proximal point, and for a frame of 640x360 about 0.75 s on two cores (AMD EPYC with AVX2); memory of a few videos
/// and 0.15 GB.
/// - Parameters:
///   - measurement: Y, float32 or float64, finite.
///   - start: of the shape that A makes Y's shape from, in [-1, 1]; where X begins.
///   - noise: sigma, above 0, in Y's units.
///   - iterations: 0 or more.
///   - thresholds: the last and the first, above 0, for coefficients of orthonormal transforms of the frames' mean over channels.
///   - momentum: from 0 to less than 1.
///   - framesAtOnce: frames that follow each other and share what is found of the middle one: which patches are similar. With 1
///     everything takes twice the time. 1 or more.
///   - onFrames: told the iteration, from 0, and its frames that have just been filtered; stops the work by throwing.
/// - Throws: `ProblemError` for arguments that do not fit or hold NaN, `TensorError` from the engine.
public func enforceSelfSimilarity(
    _ problem: any LinearOperator, measurement Y: Tensor, start: Tensor, noise: Double, iterations: Int = 12,
    thresholds: ClosedRange<Double> = 0.09...0.54, momentum: Double = 0.9, framesAtOnce: Int = 5,
    onFrames: (_ iteration: Int, _ frames: Range<Int>) throws -> Void = { _, _ in }
) throws -> Tensor {
    for (what, value) in [("noise", noise), ("threshold", thresholds.lowerBound)] {
        guard value > 0, value.isFinite else { throw ProblemError.invalidParameter("The \(what) is a number above 0, not \(value).") }
    }
    guard thresholds.upperBound.isFinite else { throw ProblemError.invalidParameter("The first threshold is a finite number.") }
    guard (0..<1).contains(momentum) else { throw ProblemError.invalidParameter("The momentum is 0 or more and below 1, not \(momentum).") }
    guard framesAtOnce > 0 else { throw ProblemError.invalidParameter("The number of frames at once is 1 or more, not \(framesAtOnce).") }
    guard iterations >= 0 else { throw ProblemError.invalidParameter("The number of iterations is 0 or more, not \(iterations).") }
    let shape = try problem.inputShape(for: Y.shape)
    guard start.shape == shape else { throw ProblemError.shapeMismatch(what: "start", shape: start.shape, expected: shape) }
    var (X, last) = (start, start)
    for iteration in 0..<iterations {
        let done = iterations > 1 ? Double(iteration) / Double(iterations - 1) : 1
        let threshold = thresholds.upperBound * pow(thresholds.lowerBound / thresholds.upperBound, done)
        let V = try X.adding(X - last, times: momentum).clamped(to: -1...1)
        var filter = SelfSimilarityFilter(threshold: threshold)
        // A GPU is busy with large parts only.
        if V.device != .cpu { filter.room *= 64 }
        var filtered: [Tensor] = []
        for first in Swift.stride(from: 0, to: shape[0], by: framesAtOnce) {
            let range = first..<min(first + framesAtOnce, shape[0])
            filtered.append(try filter.apply(V.rows(range)))
            try onFrames(iteration, range)
        }
        // What is cut off is about as large as what is wrong.
        let ratio = threshold * threshold / (noise * noise)
        last = X
        X = try problem.solveProximal(Y, around: .concatenate(filtered, along: 0), ratio: ratio, iterations: 20).solution
    }
    return X
}

/// Makes a frame's patches agree with those that look like them: the first stage of BM3D (Dabov, Foi, Katkovnik & Egiazarian 2007). For
/// every reference patch the most similar ones around it form a group; its cosine transform along all three axes is cut off below
/// `threshold` and the patches that are left are averaged where they overlap, with weights that fall with the number of coefficients kept.
/// The mean of the channels is filtered and its change added to each of them.
struct SelfSimilarityFilter {
    /// Coefficients of a group up to this size become 0, in the frame's units. 0 leaves frames as they are.
    var threshold: Double
    /// Sides of a patch, a multiple of the stride.
    var patch = 8
    /// From one reference patch to the next.
    var stride = 4
    /// How far up, down, left and right a patch is looked for.
    var reach = 19
    /// Patches of a group, fewer where a frame is too small to have them.
    var group = 32
    /// Rows and columns of reference patches that are compared with what is around them at once.
    var tile = 8
    /// Numbers that patches of a part of the frame may take at once.
    var room = 1 << 18

    /// Cost: for the groups a product of 4489 x 64 and 64 x 64 for every 64 reference patches, and 32 times each frame through the two transforms;
    /// memory of some times `room`.
    /// - Parameter frames: (N, C, H, W), float32 or float64. The groups are those of the middle one, so they should follow each other.
    /// - Returns: the same shape.
    func apply(_ frames: Tensor) throws -> Tensor {
        let (height, width) = (frames.size(2), frames.size(3))
        func grown(_ side: Int) -> Int { max((side + stride - 1) / stride * stride, patch) }
        let means = try frames.mean(along: [1], keepingDimensions: true)
        let images = try means.padded([0, grown(width) - width, 0, grown(height) - height], .replicate).contiguous()
        let filtered = try Groups(self, images.rows(frames.size(0) / 2..<frames.size(0) / 2 + 1)).filtered(images)
        return try frames + (filtered.narrow(2, from: 0, count: height).narrow(3, from: 0, count: width) - means)
    }

    /// The groups of one image (1, 1, H, W), whose sides are multiples of the stride and no shorter than a patch.
    private struct Groups {
        let filter: SelfSimilarityFilter
        let image: Tensor
        /// The image among values that no patch is similar to.
        let surrounded: Tensor
        let (height, width): (Int, Int)
        /// Reference patches in a row of them, and rows.
        let (columns, rows): (Int, Int)
        let size: Int
        let offsets: [(down: Int, right: Int)]

        init(_ filter: SelfSimilarityFilter, _ image: Tensor) throws {
            (self.filter, self.image) = (filter, image)
            (height, width) = (image.size(2), image.size(3))
            (columns, rows) = ((width - filter.patch) / filter.stride + 1, (height - filter.patch) / filter.stride + 1)
            let reach = filter.reach
            surrounded = try image.padded([reach, reach, reach, reach], .constant(1e3))
            offsets = (-reach...reach).flatMap { down in (-reach...reach).map { (down, $0) } }
            // What a patch in a corner has to choose from.
            size = min(filter.group, min(reach + 1, height - filter.patch + 1) * min(reach + 1, width - filter.patch + 1))
        }

        /// - Parameter images: (N, 1, H, W).
        func filtered(_ images: Tensor) throws -> Tensor {
            let (dtype, device) = (image.dtype, image.device)
            let across = try Self.cosines(size, dtype, device)
            let line = try Self.cosines(filter.patch, dtype, device)
            // Both axes of a patch in one matrix, line (x) line.
            let within = try (line.reshaped([filter.patch, 1, filter.patch, 1]) * line.reshaped([1, filter.patch, 1, filter.patch]))
                .reshaped([filter.patch * filter.patch, -1])
            let flat = try (0..<images.size(0)).map { try images.select(0, $0).reshaped([-1]) }
            var sums = try flat.map { _ in try Tensor.zeros([height * width], dtype: dtype, device: device) }
            // Of the patches that begin at a pixel.
            var weights = sums
            let window = try Self.window(filter.patch, dtype, device)
            let one = try Tensor.ones([], dtype: dtype, device: device)
            let pixels = try positions((0..<filter.patch).flatMap { row in (0..<filter.patch).map { row * width + $0 } })

            let groupsAtOnce = max(1, filter.room / (size * pixels.count))
            for top in Swift.stride(from: 0, to: rows, by: filter.tile) {
                let corners = try similarPatches(rows: top..<min(top + filter.tile, rows))
                let count = corners.size(1)
                for first in Swift.stride(from: 0, to: count, by: groupsAtOnce) {
                    let some = try corners.narrow(1, from: first, count: min(groupsAtOnce, count - first)).contiguous()
                    let groups = some.size(1)
                    let places = try some.to(.int64).reshaped([-1])
                    let indices = try (some.unsqueezed(2) + pixels).to(.int64).reshaped([-1])
                    for n in flat.indices {
                        var g = try across.multiplied(by: flat[n].gathered(indices, along: 0).reshaped([size, -1]))
                        g = try g.reshaped([-1, pixels.count]).multiplied(by: within.transposed(0, 1)).reshaped([size, groups, -1])
                        var keep = try g.absolute().isGreater(than: filter.threshold).to(dtype)
                        // The mean of a group is never cut off.
                        try keep.replace(at: [0, 0, 0], with: .ones([1, groups, 1], dtype: dtype, device: device))
                        let weight = try one / keep.sum(along: [0, 2], keepingDimensions: true)
                        g = try (g * keep).reshaped([-1, pixels.count]).multiplied(by: within)
                        g = try across.transposed(0, 1).multiplied(by: g.reshaped([size, -1])).reshaped([size, groups, -1])
                        try sums[n].addScattered((g * (weight * window)).reshaped([-1]), at: indices)
                        try weights[n].addScattered(weight.expanded([size, -1, -1]).reshaped([-1]), at: places)
                    }
                }
            }
            // The window is the same both ways, so that a correlation spreads the weights over the patches' pixels.
            let spread = try Tensor.stack(weights).reshaped([-1, 1, height, width]).padded([filter.patch - 1, 0, filter.patch - 1, 0])
                .convolved(window.reshaped([1, 1, filter.patch, filter.patch]))
            return try Tensor.stack(sums).reshaped([-1, 1, height, width]) / spread
        }

        /// Where the patches of the groups of some rows begin, as indices of the flat image: (size, groups), whole numbers in the type of `positions`.
        private func similarPatches(rows range: Range<Int>) throws -> Tensor {
            let moves = try positions(offsets.map { $0.down * width + $0.right })
            let parts = try Swift.stride(from: 0, to: columns, by: filter.tile).map { left in
                let across = left..<min(left + filter.tile, columns)
                let nearest = try distances(rows: range, columns: across).smallest(size).indices
                let corners = try positions(range.flatMap { row in across.map { row * filter.stride * width + $0 * filter.stride } })
                return try moves.gathered(nearest.reshaped([-1]), along: 0).reshaped([-1, size]) + corners.unsqueezed(1)
            }
            return try Tensor.concatenate(parts, along: 0).transposed(0, 1)
        }

        /// |P|^2 - 2 <P, R> of the patches P at every offset from each reference patch R of a tile: (patches, offsets). It orders them as |P - R|^2
        /// does. A matrix product has it of all P around the tile and all R, three times what is wanted, and yet sooner than differences for one
        /// offset after the other.
        private func distances(rows: Range<Int>, columns: Range<Int>) throws -> Tensor {
            let (patch, stride, reach) = (filter.patch, filter.stride, filter.reach)
            let (down, right) = ((rows.count - 1) * stride + 2 * reach + 1, (columns.count - 1) * stride + 2 * reach + 1)
            let patches = try surrounded.narrow(2, from: rows.lowerBound * stride, count: down + patch - 1)
                .narrow(3, from: columns.lowerBound * stride, count: right + patch - 1)
                .slidingWindows(2, count: patch).slidingWindows(3, count: patch).reshaped([down, right, patch * patch])
            func references(_ dimension: Int, _ x: Tensor, _ count: Int) throws -> Tensor {
                try x.strided(dimension, from: reach, to: reach + (count - 1) * stride + 1, by: stride)
            }
            let tile = try references(1, references(0, patches, rows.count), columns.count).reshaped([-1, patch * patch])
            let flat = try patches.reshaped([down * right, -1])
            let squares = try flat.squared().sum(along: [1])
            let all = try (squares - tile.multiplied(by: flat.transposed(0, 1)) * 2).reshaped([rows.count, columns.count, down, right])
            // To each patch the offsets around it: (columns, right, offsets down, rows), then (offsets down, rows, offsets right, columns).
            let around = try all.slidingWindows(2, count: 2 * reach + 1, step: stride).diagonal(0, 2)
                .slidingWindows(1, count: 2 * reach + 1, step: stride).diagonal(0, 1)
            var found = try around.permuted([1, 3, 0, 2]).contiguous().reshaped([-1, offsets.count])
            // A patch belongs to its own group.
            try found.replace(along: 1, from: offsets.count / 2, with: .full([found.size(0), 1], -1e6, dtype: found.dtype, device: found.device))
            return found
        }

        /// Indices of the flat image as numbers that can be added: float32 is exact below 2^24.
        private func positions(_ values: [Int]) throws -> Tensor {
            try Tensor(values.map(Double.init), shape: [values.count]).to(height * width < 1 << 24 ? .float32 : .float64).to(image.device)
        }

        /// The orthonormal cosine transform, a row for each frequency.
        private static func cosines(_ count: Int, _ dtype: DType, _ device: Device) throws -> Tensor {
            var values: [Double] = []
            for k in 0..<count {
                let scale = ((k == 0 ? 1 : 2) / Double(count)).squareRoot()
                for i in 0..<count { values.append(scale * cos(.pi * (Double(i) + 0.5) * Double(k) / Double(count))) }
            }
            return try Tensor(values, shape: [count, count]).to(dtype).to(device)
        }

        /// Kaiser's window with beta 2, as in BM3D: a patch counts less towards its border. (patch^2)
        private static func window(_ side: Int, _ dtype: DType, _ device: Device) throws -> Tensor {
            // The Bessel function I0.
            func bessel(_ x: Double) -> Double {
                var (sum, term) = (1.0, 1.0)
                for k in 1...30 {
                    term *= (x / 2 / Double(k)) * (x / 2 / Double(k))
                    sum += term
                }
                return sum
            }
            var line: [Double] = []
            for i in 0..<side {
                let r = side > 1 ? 2 * Double(i) / Double(side - 1) - 1 : 0
                line.append(bessel(2 * (1 - r * r).squareRoot()) / bessel(2))
            }
            return try Tensor(line.flatMap { a in line.map { a * $0 } }, shape: [side * side]).to(dtype).to(device)
        }
    }
}
