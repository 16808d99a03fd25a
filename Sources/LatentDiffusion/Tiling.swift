import Networks
import TensorKit

// Convolutional networks a tile at a time, with the result of the whole.
//
// A convolution is local: a tile that is read with a margin of its neighbours gives the pixels that the whole would give. A group norm is
// not: its mean and variance are the whole map's. So a stage of a network with n norms runs over all tiles n + 1 times; each of the first n
// passes stops at a norm and gathers its statistics, and the last one writes. Between stages the map is whole. Nothing is blended, and
// nothing needs to be: neighbouring tiles compute the same numbers where they meet.

/// A rectangle of a map.
struct Region: Equatable {
    var rows: Range<Int>
    var columns: Range<Int>

    /// Moved out by `margin` on all sides, as far as the map goes.
    func expanded(by margin: Int, within size: (height: Int, width: Int)) -> Region {
        Region(
            rows: max(rows.lowerBound - margin, 0)..<min(rows.upperBound + margin, size.height),
            columns: max(columns.lowerBound - margin, 0)..<min(columns.upperBound + margin, size.width))
    }

    /// The same rectangle on a map `factor` times as large.
    func enlarged(_ factor: Int) -> Region {
        Region(
            rows: rows.lowerBound * factor..<rows.upperBound * factor,
            columns: columns.lowerBound * factor..<columns.upperBound * factor)
    }

    /// The same rectangle on a map half as large.
    func halved() -> Region {
        Region(
            rows: rows.lowerBound / 2..<rows.upperBound / 2, columns: columns.lowerBound / 2..<columns.upperBound / 2)
    }
}

/// A part of a map (N, C, H, W) on its way through a network.
struct Piece {
    /// The values in `window`.
    var values: Tensor
    /// Where they lie.
    var window: Region
    /// The part of the map that this piece answers for; the rest of the window is margin.
    let core: Region
    /// Of the whole map.
    let size: (height: Int, width: Int)

    /// Other values in the same place.
    func with(_ values: Tensor) -> Piece { Piece(values: values, window: window, core: core, size: size) }

    /// The values in a part of the window.
    func values(in part: Region) throws -> Tensor {
        try values.narrow(2, from: part.rows.lowerBound - window.rows.lowerBound, count: part.rows.count)
            .narrow(3, from: part.columns.lowerBound - window.columns.lowerBound, count: part.columns.count)
    }

    /// A convolution that keeps the size. Where the window ends within the map, the pixels that would need more of it fall away.
    func convolved(_ convolution: Convolution) throws -> Piece {
        try with(convolution(values)).trimmed(convolution.padding)
    }

    /// Without the `margin` pixels at the edges where the window ends within the map.
    private func trimmed(_ margin: Int) throws -> Piece {
        guard margin > 0 else { return self }
        func inner(_ range: Range<Int>, _ length: Int) -> Range<Int> {
            (range.lowerBound == 0 ? 0 : range.lowerBound + margin)..<(range.upperBound == length
                ? length : range.upperBound - margin)
        }
        let window = Region(rows: inner(window.rows, size.height), columns: inner(window.columns, size.width))
        return Piece(values: try values(in: window), window: window, core: core, size: size)
    }

    /// Twice the size through an upsampler's convolution of 3 x 3. Where the window ends within the map, the outermost pixels fall away.
    func enlarged(_ upsampler: Upsampler) throws -> Piece {
        try Piece(
            values: upsampler(values), window: window.enlarged(2), core: core.enlarged(2),
            size: (2 * size.height, 2 * size.width)
        ).trimmed(1)
    }

    /// Every pixel repeated, `factor` times each way.
    func enlarged(_ factor: Int) throws -> Piece {
        Piece(
            values: try values.upsampledNearest(height: factor * values.size(2), width: factor * values.size(3)),
            window: window.enlarged(factor), core: core.enlarged(factor),
            size: (factor * size.height, factor * size.width))
    }

    /// The autoencoder's convolution with stride 2, padded on the right and at the bottom of a map of even size.
    func halved(_ convolution: Convolution) throws -> Piece {
        // Outputs stand at even rows and columns.
        let even = Region(
            rows: (window.rows.lowerBound + 1) / 2 * 2..<window.rows.upperBound,
            columns: (window.columns.lowerBound + 1) / 2 * 2..<window.columns.upperBound)
        let right = window.columns.upperBound == size.width ? 1 : 0
        let bottom = window.rows.upperBound == size.height ? 1 : 0
        let output = try convolution(values(in: even).padded([0, right, 0, bottom]))
        let (row, column) = (even.rows.lowerBound / 2, even.columns.lowerBound / 2)
        return Piece(
            values: output, window: Region(rows: row..<row + output.size(2), columns: column..<column + output.size(3)),
            core: core.halved(),
            size: (size.height / 2, size.width / 2))
    }

    /// A convolution of 3 x 3 with stride 2, padded by 1 on all sides of a map of even size.
    func strided(_ convolution: Convolution) throws -> Piece {
        // An output in row i reads 2i - 1 to 2i + 1. The window is cut to even rows and columns, then the first output within the map, whose
        // upper or left neighbours are missing, falls away.
        let even = Region(
            rows: (window.rows.lowerBound + 1) / 2 * 2..<window.rows.upperBound / 2 * 2,
            columns: (window.columns.lowerBound + 1) / 2 * 2..<window.columns.upperBound / 2 * 2)
        let output = Piece(
            values: try convolution(values(in: even)), window: even.halved(), core: core.halved(),
            size: (size.height / 2, size.width / 2))
        let (rows, columns) = (output.window.rows, output.window.columns)
        let inner = Region(
            rows: rows.lowerBound + (even.rows.lowerBound == 0 ? 0 : 1)..<rows.upperBound,
            columns: columns.lowerBound + (even.columns.lowerBound == 0 ? 0 : 1)..<columns.upperBound)
        return Piece(values: try output.values(in: inner), window: inner, core: output.core, size: output.size)
    }

    /// This plus the values of `other`, which has at least the same window.
    func adding(_ other: Piece) throws -> Piece { with(try values + other.values(in: window)) }

    /// The residual block; nil where the statistics of one of its norms are being gathered.
    func through(_ block: ResidualBlock, _ norms: inout TiledNorms) throws -> Piece? {
        guard let first = try norms.silu(block.norm1, self) else { return nil }
        guard let second = try norms.silu(block.norm2, first.convolved(block.conv1)) else { return nil }
        return try second.convolved(block.conv2).adding(block.shortcut.map(convolved) ?? self)
    }
}

/// The group norms of a stage, in the order in which the network comes to them.
struct TiledNorms {
    /// What norm(x) = x scale + shift is for the whole map, (N, C, 1, 1) each, of the norms whose statistics are known.
    private var known: [(scale: Tensor, shift: Tensor)] = []
    private var next = 0
    /// The norm that this pass gathers for, with each tile's pixels, channel means and sums of squared deviations, (N, C).
    private var norm: GroupNorm?
    private var gathered: [(count: Int, means: Tensor, squares: Tensor)] = []

    /// silu(norm(x)); nil when its statistics are what this pass gathers.
    mutating func silu(_ norm: GroupNorm, _ piece: Piece) throws -> Piece? {
        defer { next += 1 }
        guard next < known.count else {
            self.norm = norm
            let x = try piece.values(in: piece.core).to(norm.weight.dtype)
            let means = try x.mean(along: [2, 3], keepingDimensions: true)
            gathered.append((x.size(2) * x.size(3), means, try (x - means).squared().sum(along: [2, 3])))
            return nil
        }
        let (scale, shift) = known[next]
        var y = try piece.values.to(norm.weight.dtype) * scale + shift
        try y.formSilu()
        return piece.with(try y.to(piece.values.dtype))
    }

    mutating func beginTile() { next = 0 }

    /// Puts the tiles' statistics together in float64 (Chan, Golub & LeVeque 1983, Eq. 2.1).
    mutating func endPass() throws {
        guard let norm, let first = gathered.first else { return }
        let (frames, channels) = (first.means.size(0), first.means.size(1))
        let (weight, bias): ([Double], [Double]) = (try norm.weight.array(), try norm.bias.array())
        let means: [Double] = try Tensor.stack(gathered.map { try $0.means.reshaped([frames, channels]) }).array()
        let squares: [Double] = try Tensor.stack(gathered.map(\.squares)).array()
        let width = channels / norm.groups
        let total = Double(gathered.reduce(0) { $0 + $1.count } * width)
        var scale = [Float](repeating: 0, count: frames * channels)
        var shift = scale
        for frame in 0..<frames {
            for group in 0..<norm.groups {
                let members = (group * width..<(group + 1) * width)
                var (sum, deviation) = (0.0, 0.0)
                for tile in gathered.indices {
                    for channel in members {
                        sum += Double(gathered[tile].count) * means[(tile * frames + frame) * channels + channel]
                    }
                }
                let mean = sum / total
                for tile in gathered.indices {
                    for channel in members {
                        let index = (tile * frames + frame) * channels + channel
                        let distance = means[index] - mean
                        deviation += squares[index] + Double(gathered[tile].count) * distance * distance
                    }
                }
                let inverse = 1 / (deviation / total + norm.epsilon).squareRoot()
                for channel in members {
                    scale[frame * channels + channel] = Float(weight[channel] * inverse)
                    shift[frame * channels + channel] = Float(bias[channel] - mean * weight[channel] * inverse)
                }
            }
        }
        let (dtype, device) = (norm.weight.dtype, norm.weight.device)
        func parameters(_ values: [Float]) throws -> Tensor {
            try Tensor(values, shape: [frames, channels, 1, 1], device: device).to(dtype)
        }
        known.append((try parameters(scale), try parameters(shift)))
        self.norm = nil
        gathered = []
    }
}

/// Runs stages of a network tile by tile.
struct TiledStage {
    /// How the map's size changes from a stage's input to its output.
    enum Scale {
        case enlarging(Int), keeping, halving
    }

    let format: MemoryFormat

    /// The output of `body` over a whole map. Cost: `body` once for every norm in it and once more, over tiles with their margins; memory
    /// for the input, the output and one tile.
    /// - Parameters:
    ///   - tile: the side of a tile, in pixels of the output.
    ///   - margin: how many pixels of its input `body` needs around those it gives.
    ///   - body: gives nil when one of `norms` has yet to be gathered.
    func callAsFunction(
        _ x: Tensor, tile: Int, margin: Int, _ scale: Scale = .keeping,
        _ body: (Piece, inout TiledNorms) throws -> Piece?
    ) throws -> Tensor {
        let size = (height: x.size(2), width: x.size(3))
        func output(_ length: Int) -> Int {
            switch scale {
            case .enlarging(let factor): length * factor
            case .keeping: length
            case .halving: length / 2
            }
        }
        // Tiles begin at whole pixels of the input.
        let step: Int
        if case .enlarging(let factor) = scale { step = max(tile / factor, 1) * factor } else { step = max(tile, 1) }
        let tiles = Self.ranges(output(size.height), step).flatMap { rows in
            Self.ranges(output(size.width), step).map { Region(rows: rows, columns: $0) }
        }
        var norms = TiledNorms()
        var result: Tensor?
        while true {
            for target in tiles {
                let core =
                    switch scale {
                    case .enlarging(let factor):
                        Region(
                            rows: target.rows.lowerBound / factor..<target.rows.upperBound / factor,
                            columns: target.columns.lowerBound / factor..<target.columns.upperBound / factor)
                    case .keeping: target
                    case .halving: target.enlarged(2)
                    }
                let whole = Piece(
                    values: x, window: Region(rows: 0..<size.height, columns: 0..<size.width), core: core, size: size)
                let window = core.expanded(by: margin, within: size)
                norms.beginTile()
                let piece = try body(
                    Piece(values: whole.values(in: window), window: window, core: core, size: size), &norms)
                guard let piece else { continue }
                if result == nil {
                    result = try .empty(
                        [x.size(0), piece.values.size(1), output(size.height), output(size.width)],
                        dtype: piece.values.dtype, device: x.device,
                        format: format)
                }
                try result?.replace(
                    at: [0, 0, target.rows.lowerBound, target.columns.lowerBound], with: piece.values(in: target))
            }
            if let result { return result }
            try norms.endPass()
        }
    }

    private static func ranges(_ length: Int, _ step: Int) -> [Range<Int>] {
        stride(from: 0, to: length, by: step).map { $0..<min($0 + step, length) }
    }
}
