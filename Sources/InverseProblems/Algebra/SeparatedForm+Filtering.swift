import TensorKit

extension SeparatedForm {
    /// The largest singular value of T x C x H x W, which A's does not exceed.
    func norm() throws(TensorError) -> Double {
        var product = 1 / area.squareRoot()
        for case .matrix(let matrix) in [frames.map(AxisFactor.matrix), channels.map(AxisFactor.matrix), rows, columns]
        {
            product *= try matrix.decomposition(.float64, .cpu).singularValues[0]
        }
        return product
    }

    /// The largest singular value of C x H x W.
    private func largestWithinFrames() throws(TensorError) -> Double {
        var form = self
        form.frames = nil
        return try form.norm()
    }

    /// result += factor V f(s) U' x, where T x C x H x W = U diag(s) V'; with V' and U where the filter's kind says so.
    ///
    /// Two dense products along each axis with a matrix, a single one where only frames are mixed by fixed weights, none for pooling. Memory:
    /// a few frames, and where frames are mixed two measurements, or two videos for a blur.
    /// - Parameters:
    ///   - part: x, by ranges of its frames; asked for once as a whole where frames are mixed.
    ///   - count: of x's frames.
    func add(
        _ filter: SpectralFilter, of part: (Range<Int>) throws -> Tensor, count: Int, times factor: Double = 1,
        to result: inout Tensor
    ) throws {
        let (dtype, device) = (result.dtype, result.device)
        // A cache of the CPU's holds a frame; a GPU is better given more at once.
        let size = max(1, (1 << (device == .cpu ? 20 : 24)) / (result.count / result.size(0)))
        func input(_ range: Range<Int>) throws -> Tensor {
            try filter.kind.takesVideo ? pooled(part(range)) : part(range)
        }
        func output(_ x: Tensor) throws -> Tensor { try filter.kind.makesVideo ? upsampled(x) : x }
        func inParts(_ count: Int, _ body: (Range<Int>) throws -> Void) rethrows {
            for start in stride(from: 0, to: count, by: size) { try body(start..<min(start + size, count)) }
        }

        guard let frames else {
            return try inParts(count) { range in
                let part = try output(filtered(input(range), hasMaskOfEachFrame ? filter.rows(range) : filter))
                try result.add(part, times: factor, at: [range.lowerBound, 0, 0, 0])
            }
        }
        var mixed: Tensor
        if keepsPixelsInBlocks, channels == nil, filter.measured == nil {
            // One product with V f(s) U', which is made where it is needed: a copy to a GPU would wait.
            let matrix = try frames.decomposition(device.hasFloat64 ? .float64 : dtype, device)
            let weights = try filter.fixed(matrix.values / area.squareRoot())
            let pixels = result.count / result.size(0) / (blocks.height * blocks.width)
            try filter.passedNoise?.add(weights.reshaped([-1, 1, 1]), times: matrix.singularValues.count * pixels)
            let (from, to) = filter.kind.sides(matrix)
            let whole = try (to * weights).multiplied(by: from.transposed(0, 1)).to(dtype)
            mixed = try AxisMap.multiply(whole, input(0..<count), along: 0)
        } else {
            let matrix = try frames.decomposition(dtype, device)
            let (from, to) = filter.kind.sides(matrix)
            mixed = try AxisMap.multiply(from.transposed(0, 1), input(0..<count), along: 0)
            // In place, where a frame keeps its size.
            var target: Tensor?
            for (frame, value) in matrix.singularValues.enumerated() {
                let part = try filtered(mixed.rows(frame..<frame + 1), filter, times: value)
                if part.shape[1...] == mixed.shape[1...] {
                    try mixed.replace(along: 0, from: frame, with: part)
                } else {
                    if target == nil {
                        target = try .empty([mixed.size(0)] + part.shape[1...], dtype: dtype, device: device)
                    }
                    try target?.replace(along: 0, from: frame, with: part)
                }
            }
            mixed = try AxisMap.multiply(to, target ?? mixed, along: 0)
        }
        try inParts(mixed.size(0)) { range in
            try result.add(output(mixed.rows(range)), times: factor, at: [range.lowerBound, 0, 0, 0])
        }
    }

    /// V f(s) U' x of C x H x W without its pooling, for a few frames.
    /// - Parameter frameValue: the frames' singular value.
    private func filtered(_ x: Tensor, _ filter: SpectralFilter, times frameValue: Double = 1) throws -> Tensor {
        var x = x
        var s = try Tensor.full([1, 1], frameValue / area.squareRoot(), dtype: x.dtype, device: x.device)
        var back: [(axis: Int, Tensor)] = []
        // Where channels have singular values of their own, their components cannot be told from their pixels.
        let smallest = channels == nil ? filter.measured?.blind ?? filter.smallest : filter.smallest
        let largest = smallest > 0 ? try largestWithinFrames() : 1
        var axes: [(axis: Int, parts: AxisMatrix.Decomposition)] = []
        for (axis, factor) in [(3, columns), (2, rows), (1, channels.map(AxisFactor.matrix) ?? .identity)] {
            guard case .matrix(let matrix) = factor else { continue }
            var parts = try matrix.decomposition(x.dtype, x.device)
            if smallest > 0 {
                parts = try parts.prefix(
                    above: smallest * parts.singularValues[0] / (largest * frameValue),
                    multipleOf: filter.measured == nil ? 1 : MeasuredError.side(channels: x.size(1)))
            }
            axes.append((axis, parts))
        }
        // The product that leaves the least to the next ones comes first.
        func saved(_ axis: Int, _ parts: AxisMatrix.Decomposition) -> Double {
            let (length, rank) = (Double(x.size(axis)), Double(parts.singularValues.count))
            return (length - rank) / (length * rank)
        }
        axes.sort { saved($0.axis, $0.parts) > saved($1.axis, $1.parts) }
        let whole = x
        for (axis, parts) in axes {
            let (from, to) = filter.kind.sides(parts)
            x = try AxisMap.multiply(from.transposed(0, 1), x, along: axis)
            s = try s * parts.values.reshaped([-1] + [Int](repeating: 1, count: 3 - axis))
            back.insert((axis, to), at: 0)
        }
        var rest: MeasuredError.Rest?
        if filter.measured != nil, x.count < whole.count {
            func energy(_ x: Tensor) throws -> Tensor {
                try x.squared().sum(along: [1, 2, 3], keepingDimensions: true)
            }
            // Singular vectors are orthonormal: what the kept components lack of the energy is in the others.
            rest = MeasuredError.Rest(
                energy: try ((energy(whole) - energy(x)) / Double(x.size(1))).clamped(to: 0...1e30),
                count: (whole.count - x.count) / (x.size(0) * x.size(1)))
        }
        try x.multiply(by: filter(s, of: x, rest: rest))
        for (axis, matrix) in back { x = try AxisMap.multiply(matrix, x, along: axis) }
        return x
    }

    // A pooling P has P P' = I / area: its left singular vectors are the pixels, the right ones its rows times the root of the area.

    private var blocks: (height: Int, width: Int) { (rows.blockSize, columns.blockSize) }
    private var area: Double { Double(blocks.height * blocks.width) }

    /// sqrt(sqrt(k)) for means over k x k pixels, 1 without pooling: how much larger a prior's error is along the pooling's right singular
    /// vectors than at pixels. The errors of neighbouring pixels are alike (alike in all of a block they would give k, independent ones 1).
    var errorGrowth: Double { area.squareRoot().squareRoot().squareRoot() }

    /// V' x of the pooling.
    private func pooled(_ x: Tensor) throws -> Tensor {
        if area == 1 { return x }
        let (height, width) = (x.size(2) / blocks.height, x.size(3) / blocks.width)
        return try x.reshaped([x.size(0), x.size(1), height, blocks.height, width, blocks.width]).mean(along: [3, 5])
            * area.squareRoot()
    }

    /// V x of the pooling.
    private func upsampled(_ x: Tensor) throws -> Tensor {
        if area == 1 { return x }
        return try (x / area.squareRoot()).upsampledNearest(
            height: x.size(2) * blocks.height, width: x.size(3) * blocks.width)
    }
}

extension AxisFactor {
    fileprivate var blockSize: Int {
        if case .pooling(let size) = self { max(size, 1) } else { 1 }
    }
}
