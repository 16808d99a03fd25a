import TensorKit

/// An operator taken apart: A = M (T x C x H x W), a Kronecker product of matrices that act on frames, channels, rows and columns alone, and
/// perhaps a mask M of the measurement. All operators of the paper have this form, so that small matrices answer what is asked of the large
/// one: its singular values are the products of theirs, its singular vectors the products of theirs.
public struct SeparatedForm: Sendable {
    /// T, along the frames; nil for the identity.
    public var frames: AxisMatrix?
    /// C, across the channels; nil for the identity.
    public var channels: AxisMatrix?
    /// H, down the rows.
    public var rows: AxisFactor
    /// W, across the columns.
    public var columns: AxisFactor
    /// 0 and 1 of the measurement's size, the same for every channel: (h, w) for all frames, or (N, 1, h, w) for each; nil for none.
    public var mask: Tensor?

    public init(
        frames: AxisMatrix? = nil, channels: AxisMatrix? = nil, rows: AxisFactor = .identity,
        columns: AxisFactor = .identity,
        mask: Tensor? = nil
    ) {
        self.frames = frames
        self.channels = channels
        self.rows = rows
        self.columns = columns
        self.mask = mask
    }

    /// Whether the singular vectors of T x C x H x W are those of A, too: a mask spoils them where H or W mix what it keeps with what it
    /// removes, and one that changes from frame to frame where T does.
    package var isExact: Bool { mask == nil || !mixesPixels && (frames == nil || !hasMaskOfEachFrame) }

    /// Whether frames have masks of their own.
    var hasMaskOfEachFrame: Bool { (mask?.rank ?? 2) > 2 }

    /// Whether a pixel of A(X) depends on more than the same pixel of X's frames. A mask commutes with what mixes frames or channels alone.
    public var mixesPixels: Bool { rows != .identity || columns != .identity }

    /// Whether pixels are at most averaged in blocks, so that nothing in a frame is weakened more than anything else that is seen of it.
    public var keepsPixelsInBlocks: Bool {
        for case .matrix in [rows, columns] { return false }
        return true
    }

    /// `next` after this, nil where this one's mask would come to lie inside.
    /// - Parameter shape: of the video.
    func followed(by next: SeparatedForm, shape: [Int], products: AxisProducts) throws -> SeparatedForm? {
        guard mask == nil || !next.mixesPixels && (next.frames == nil || !hasMaskOfEachFrame) else { return nil }
        var masks = [mask, next.mask].compactMap(\.self)
        if masks.count == 2 { masks = [try masks[0] * masks[1]] }
        func both(_ first: AxisMatrix?, _ second: AxisMatrix?) throws -> AxisMatrix? {
            guard let first, let second else { return first ?? second }
            return try products.product(second, first)
        }
        return try SeparatedForm(
            frames: both(frames, next.frames), channels: both(channels, next.channels),
            rows: products.product(next.rows, rows, length: shape[2]),
            columns: products.product(next.columns, columns, length: shape[3]), mask: masks.first)
    }

    /// A', nil where a mask would come to lie inside.
    /// - Parameter shape: of the video.
    func transposed(shape: [Int], products: AxisProducts) throws -> SeparatedForm? {
        guard isExact else { return nil }
        return try SeparatedForm(
            frames: frames.map { try products.transposed($0) }, channels: channels.map { try products.transposed($0) },
            rows: products.transposed(rows, length: shape[2]), columns: products.transposed(columns, length: shape[3]),
            mask: mask)
    }
}
