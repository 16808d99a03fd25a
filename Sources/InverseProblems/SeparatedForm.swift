import TensorKit

/// An operator taken apart: A = M (T x H x W), a Kronecker product of matrices that act on frames, rows and columns alone, and perhaps a
/// mask M of the measurement. All operators of the paper have this form, so that small matrices answer what is asked of the large one:
/// its singular values are the products of theirs, its singular vectors the products of theirs.
public struct SeparatedForm: Sendable {
    /// T, along the frames; nil for the identity.
    public var frames: AxisMatrix?
    /// H, down the rows.
    public var rows: AxisFactor
    /// W, across the columns.
    public var columns: AxisFactor
    /// (h, w) of 0 and 1 of the measurement's size, the same for every frame and channel; nil for none.
    public var mask: Tensor?

    public init(frames: AxisMatrix? = nil, rows: AxisFactor = .identity, columns: AxisFactor = .identity, mask: Tensor? = nil) {
        self.frames = frames
        self.rows = rows
        self.columns = columns
        self.mask = mask
    }

    /// Whether the singular vectors of T x H x W are those of A, too: a mask spoils them where H or W mix what it keeps with what it removes.
    var isExact: Bool { mask == nil || !mixesPixels }

    /// Whether a pixel of A(X) depends on more than the same pixel of X's frames. A mask commutes with what mixes frames alone.
    public var mixesPixels: Bool { rows != .identity || columns != .identity }

    /// Whether pixels are at most averaged in blocks, so that nothing in a frame is weakened more than anything else that is seen of it.
    public var keepsPixelsInBlocks: Bool {
        for case .matrix in [rows, columns] { return false }
        return true
    }

    /// `next` after this, nil where this one's mask would come to lie inside.
    /// - Parameter shape: of the video.
    func followed(by next: SeparatedForm, shape: [Int], products: AxisProducts) throws -> SeparatedForm? {
        guard mask == nil || !next.mixesPixels else { return nil }
        var masks = [mask, next.mask].compactMap(\.self)
        if masks.count == 2 { masks = [try masks[0] * masks[1]] }
        let frames = [frames, next.frames].compactMap(\.self)
        return try SeparatedForm(
            frames: frames.count == 2 ? products.product(frames[1], frames[0]) : frames.first,
            rows: products.product(next.rows, rows, length: shape[2]), columns: products.product(next.columns, columns, length: shape[3]),
            mask: masks.first)
    }

    /// A', nil where a mask would come to lie inside.
    /// - Parameter shape: of the video.
    func transposed(shape: [Int], products: AxisProducts) throws -> SeparatedForm? {
        guard isExact else { return nil }
        return try SeparatedForm(
            frames: frames.map { try products.transposed($0) }, rows: products.transposed(rows, length: shape[2]),
            columns: products.transposed(columns, length: shape[3]), mask: mask)
    }
}

/// Products and transposes of factors, made once.
final class AxisProducts: Sendable {
    private struct Key: Hashable {
        let factors: [AxisFactor]
        let length: Int?
    }
    private let cache = Cache<Key, AxisMatrix>()

    func product(_ left: AxisMatrix, _ right: AxisMatrix) throws(TensorError) -> AxisMatrix {
        try cache.value(for: Key(factors: [.matrix(left), .matrix(right)], length: nil)) { AxisMatrix(left.matrix.times(right.matrix)) }
    }
    func transposed(_ factor: AxisMatrix) throws(TensorError) -> AxisMatrix {
        try cache.value(for: Key(factors: [.matrix(factor)], length: nil)) { AxisMatrix(factor.matrix.transposed) }
    }

    /// left right, for an axis of a length.
    func product(_ left: AxisFactor, _ right: AxisFactor, length: Int) throws(TensorError) -> AxisFactor {
        switch (left, right) {
        case (.identity, let other), (let other, .identity): return other
        case (.pooling(let a), .pooling(let b)): return .pooling(a * b)
        default:
            return try .matrix(
                cache.value(for: Key(factors: [left, right], length: length)) {
                    let first = right.matrix(length: length)
                    return AxisMatrix(left.matrix(length: first.rows.count).times(first))
                })
        }
    }
    func transposed(_ factor: AxisFactor, length: Int) throws(TensorError) -> AxisFactor {
        if factor == .identity { return factor }
        return try .matrix(cache.value(for: Key(factors: [factor], length: length)) { AxisMatrix(factor.matrix(length: length).transposed) })
    }
}

/// What an operator does along one axis of a video.
public enum AxisFactor: Sendable, Hashable {
    case identity
    /// Means of successive blocks of so many, 1 or more.
    case pooling(Int)
    case matrix(AxisMatrix)

    /// The matrix for an axis of a length.
    func matrix(length: Int) -> SparseMatrix {
        switch self {
        case .matrix(let factor): return factor.matrix
        case .identity: return AxisFactor.pooling(1).matrix(length: length)
        case .pooling(let size):
            let size = max(size, 1)
            var matrix = SparseMatrix(rows: length / size, columns: length)
            for column in 0..<matrix.rows.count * size { matrix.rows[column / size][column] = 1 / Double(size) }
            return matrix
        }
    }
}

/// A matrix along one axis, with its singular values and vectors: computed in float64 when they are first needed (1280 x 1280: 1.4 s) and
/// kept as long as it lives. So an operator keeps its factors rather than making them anew. Equal to itself alone.
public final class AxisMatrix: Sendable, Hashable {
    let matrix: SparseMatrix

    private struct Key: Hashable {
        let dtype: DType
        let device: Device
    }
    private let cache = Cache<Key, Decomposition>()

    /// B = U diag(s) V' without what is zero but for rounding.
    struct Decomposition: Sendable {
        /// U, (rows, rank).
        let left: Tensor
        /// s, (rank), the largest first.
        let values: Tensor
        /// V, (columns, rank).
        let right: Tensor
        /// s once more.
        let singularValues: [Double]
    }

    init(_ matrix: SparseMatrix) { self.matrix = matrix }

    /// - Parameter rows: finite numbers, as many in every row.
    /// - Throws: `ProblemError.invalidParameter` for anything else.
    public init(rows: [[Double]]) throws(ProblemError) {
        let columns = rows.first?.count ?? 0
        guard columns > 0, rows.allSatisfy({ $0.count == columns && $0.allSatisfy(\.isFinite) }) else {
            throw .invalidParameter("A matrix needs rows of the same number of finite values, one at least.")
        }
        matrix = SparseMatrix(dense: rows)
    }

    public static func == (a: AxisMatrix, b: AxisMatrix) -> Bool { a === b }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }

    func decomposition(_ dtype: DType, _ device: Device) throws(TensorError) -> Decomposition {
        try cache.value(for: Key(dtype: dtype, device: device)) { () throws(TensorError) in
            if dtype == .float64, device == .cpu { return try decomposed() }
            let exact = try decomposition(.float64, .cpu)
            func here(_ tensor: Tensor) throws(TensorError) -> Tensor { try tensor.to(dtype).to(device) }
            return Decomposition(
                left: try here(exact.left), values: try here(exact.values), right: try here(exact.right),
                singularValues: exact.singularValues)
        }
    }

    private func decomposed() throws(TensorError) -> Decomposition {
        let dense = matrix.rows.flatMap { row in (0..<matrix.columnCount).map { row[$0] ?? 0 } }
        let (left, values, right) = try Tensor(dense, shape: [matrix.rows.count, matrix.columnCount]).singularValueDecomposition()
        let all = try values.array(of: Double.self)
        let rank = max(1, all.prefix { $0 > 0x1p-50 * all[0] }.count)
        return Decomposition(
            left: try left.narrow(1, from: 0, count: rank).contiguous(), values: try values.narrow(0, from: 0, count: rank),
            right: try right.narrow(0, from: 0, count: rank).transposed(0, 1).contiguous(), singularValues: Array(all.prefix(rank)))
    }
}

/// Wiener's filter for errors that are found in the measurement. Components x = U' (Y - A X0) consist of s V' e, e the error of X0, and of
/// the noise: where neighbouring ones have the mean square p, e's is tau^2 = (p - sigma^2) / mean s^2, and s tau^2 / (s^2 tau^2 + sigma^2)
/// is the weight that leaves the least error.
///
/// Where s is so small that no error within the bounds would show, p is the noise: where it exceeds sigma^2 it replaces it, frame by frame
/// (bits rounded away in a still scene are the same for all frames, so that all of their noise is in the frames' mean).
struct MeasuredError {
    /// sigma^2.
    var noise: Double
    /// Bounds of tau.
    var bounds: ClosedRange<Double>
    /// (h, w) of 0 and 1 where components are pixels of which some are missing; nil for all.
    var mask: Tensor?

    /// Components of a block, down and across.
    private static let blockSize = 20
    /// What p must exceed sigma^2 by, as a part of it: p is a mean of 1200 squares, with a standard error of 4 %.
    private static let margin = 0.05

    /// The weights and, as far as it is believed, the noise's variance.
    func weights(_ s: Tensor, of x: Tensor) throws(TensorError) -> (Tensor, noise: Tensor) {
        let (height, width) = (x.size(2), x.size(3))
        func inBlocks(_ x: Tensor) throws(TensorError) -> Tensor {
            try x.averagePooled(toHeight: max(1, height / Self.blockSize), width: max(1, width / Self.blockSize))
        }
        func spread(_ blocks: Tensor) throws(TensorError) -> Tensor { try blocks.upsampledNearest(height: height, width: width) }
        var power = try inBlocks(x.squared().mean(along: [1], keepingDimensions: true))
        if let mask {
            // Fewer components than one in a thousand are none.
            power = try power / inBlocks(mask.reshaped([1, 1, height, width])).clamped(to: 0.001...1)
        }
        power = try spread(power)

        let square = try (s.squared() + Tensor.zeros([1, 1, height, width], dtype: x.dtype, device: x.device)).clamped(to: 1e-30...1e30)
        let isBlind = try (square * -1).isGreater(than: -0.01 * noise / (bounds.upperBound * bounds.upperBound)).to(x.dtype)
        let count = try isBlind.sum(along: [2, 3], keepingDimensions: true).clamped(to: 1...1e30)
        let noise = try ((power * isBlind).sum(along: [2, 3], keepingDimensions: true) / count).clamped(to: noise...1e30)

        let error = try ((power - noise * (1 + Self.margin)) / spread(inBlocks(square)))
            .clamped(to: bounds.lowerBound * bounds.lowerBound...bounds.upperBound * bounds.upperBound)
        return (try error * s / (error * square + noise), noise)
    }
}

/// What becomes of a component with the singular value s on its way back to the video.
struct SpectralFilter {
    /// r: the filter is r s / (1 + r s^2). Infinite: 1 / s, and 0 where s does not exceed `threshold`.
    var ratio: Double
    var threshold = 0.0
    /// Takes a video instead of a measurement, by V' in place of U', and is 1 / (1 + r s^2).
    var takesVideo = false
    /// Finds r for every block of components from the components themselves; `ratio` and `threshold` then say nothing.
    var measured: MeasuredError?
    /// Told what becomes of noise.
    var passedNoise: PassedNoise?

    /// The weights for the components x, (n, C, h, w), of singular values s that go with (h, w).
    func callAsFunction(_ s: Tensor, of x: Tensor) throws(TensorError) -> Tensor {
        guard let measured else {
            let weights = try fixed(s)
            try passedNoise?.add(weights, times: x.count)
            return weights
        }
        let (weights, noise) = try measured.weights(s, of: x)
        try passedNoise?.add(weights, noise: noise, times: x.count)
        return weights
    }

    /// The weights that do not ask for components.
    func fixed(_ s: Tensor) throws(TensorError) -> Tensor {
        let one = try Tensor.ones([], dtype: s.dtype, device: s.device)
        if ratio == .infinity {
            return try (one / s).selected(where: s.isGreater(than: threshold), otherwise: .zeros([], dtype: s.dtype, device: s.device))
        }
        let scaled = try s * ratio
        return try (takesVideo ? one : scaled) / (scaled * s + 1)
    }
}

/// What becomes of a measurement's noise on its way back to the video.
final class PassedNoise {
    /// sigma^2 where no components say otherwise.
    let variance: Double
    /// (h, w) of 0 and 1 where components are pixels of which some are missing; nil for all.
    let mask: Tensor?
    /// The expected sum of squares over the video.
    private(set) var energy = 0.0

    init(variance: Double, mask: Tensor? = nil) { (self.variance, self.mask) = (variance, mask) }

    /// Counts components that are all multiplied by one of the weights, each as often as another: the singular vectors are orthonormal.
    /// - Parameters:
    ///   - noise: of the components; nil for `variance`.
    ///   - count: how many components there are.
    func add(_ weights: Tensor, noise: Tensor? = nil, times count: Int) throws(TensorError) {
        var energies = try weights.squared()
        if let noise { energies = try energies * noise }
        if let mask { energies = try energies * mask.to(energies.dtype) }
        energy += try energies.mean().item() * (noise == nil ? variance : 1) * Double(count)
    }
}

extension SeparatedForm {
    /// The largest singular value of T x H x W, which A's does not exceed.
    func norm() throws(TensorError) -> Double {
        var product = 1 / area.squareRoot()
        for case .matrix(let matrix) in [frames.map(AxisFactor.matrix), rows, columns] {
            product *= try matrix.decomposition(.float64, .cpu).singularValues[0]
        }
        return product
    }

    /// result += factor V f(s) U' x, where T x H x W = U diag(s) V'; V f(s) V' x for an f that takes videos.
    ///
    /// Two dense products along each axis with a matrix, a single one where only frames are mixed by fixed weights, none for pooling. Memory:
    /// a few frames, and where frames are mixed two measurements, or two videos for a blur.
    /// - Parameters:
    ///   - part: x, by ranges of its frames; asked for once as a whole where frames are mixed.
    ///   - count: of x's frames.
    func add(
        _ filter: SpectralFilter, of part: (Range<Int>) throws -> Tensor, count: Int, times factor: Double = 1, to result: inout Tensor
    ) throws {
        let (dtype, device) = (result.dtype, result.device)
        let size = max(1, (1 << 20) / (result.count / result.size(0)))
        func input(_ range: Range<Int>) throws -> Tensor { try filter.takesVideo ? pooled(part(range)) : part(range) }
        func inParts(_ count: Int, _ body: (Range<Int>) throws -> Void) rethrows {
            for start in stride(from: 0, to: count, by: size) { try body(start..<min(start + size, count)) }
        }

        guard let frames else {
            return try inParts(count) { range in
                let part = try upsampled(filtered(input(range), filter))
                try result.add(part, times: factor, at: [range.lowerBound, 0, 0, 0])
            }
        }
        var mixed: Tensor
        if keepsPixelsInBlocks, filter.measured == nil {
            // One product with V f(s) U'.
            let matrix = try frames.decomposition(.float64, .cpu)
            let weights = try filter.fixed(matrix.values / area.squareRoot())
            let pixels = result.count / result.size(0) / (blocks.height * blocks.width)
            try filter.passedNoise?.add(weights.reshaped([-1, 1, 1]), times: matrix.singularValues.count * pixels)
            let side = filter.takesVideo ? matrix.right : matrix.left
            let whole = try (matrix.right * weights).multiplied(by: side.transposed(0, 1)).to(dtype).to(device)
            mixed = try AxisMap.multiply(whole, input(0..<count), along: 0)
        } else {
            let matrix = try frames.decomposition(dtype, device)
            let side = filter.takesVideo ? matrix.right : matrix.left
            mixed = try AxisMap.multiply(side.transposed(0, 1), input(0..<count), along: 0)
            // In place, where a frame keeps its size.
            var target: Tensor?
            for (frame, value) in matrix.singularValues.enumerated() {
                let part = try filtered(mixed.rows(frame..<frame + 1), filter, times: value)
                if part.shape[1...] == mixed.shape[1...] {
                    try mixed.replace(along: 0, from: frame, with: part)
                } else {
                    if target == nil { target = try .empty([mixed.size(0)] + part.shape[1...], dtype: dtype, device: device) }
                    try target?.replace(along: 0, from: frame, with: part)
                }
            }
            mixed = try AxisMap.multiply(matrix.right, target ?? mixed, along: 0)
        }
        try inParts(mixed.size(0)) { range in
            try result.add(upsampled(mixed.rows(range)), times: factor, at: [range.lowerBound, 0, 0, 0])
        }
    }

    /// V f(s) U' x of H x W without its pooling, for a few frames.
    /// - Parameter frameValue: the frames' singular value.
    private func filtered(_ x: Tensor, _ filter: SpectralFilter, times frameValue: Double = 1) throws -> Tensor {
        var x = x
        var s = try Tensor.full([1, 1], frameValue / area.squareRoot(), dtype: x.dtype, device: x.device)
        var back: [(axis: Int, Tensor)] = []
        for (axis, factor) in [(3, columns), (2, rows)] {
            guard case .matrix(let matrix) = factor else { continue }
            let parts = try matrix.decomposition(x.dtype, x.device)
            x = try AxisMap.multiply((filter.takesVideo ? parts.right : parts.left).transposed(0, 1), x, along: axis)
            s = try s * parts.values.reshaped(axis == 2 ? [-1, 1] : [1, -1])
            back.insert((axis, parts.right), at: 0)
        }
        try x.multiply(by: filter(s, of: x))
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
        return try x.reshaped([x.size(0), x.size(1), height, blocks.height, width, blocks.width]).mean(along: [3, 5]) * area.squareRoot()
    }

    /// V x of the pooling.
    private func upsampled(_ x: Tensor) throws -> Tensor {
        if area == 1 { return x }
        return try (x / area.squareRoot()).upsampledNearest(height: x.size(2) * blocks.height, width: x.size(3) * blocks.width)
    }
}

extension AxisFactor {
    fileprivate var blockSize: Int {
        if case .pooling(let size) = self { max(size, 1) } else { 1 }
    }
}
