import TensorKit

/// Inpainting: Y = M X with the same pixels of every channel kept (1) and removed (0), in all frames alike or in each its own. A
/// projection: A = A' = A A.
public struct Mask: LinearOperator {
    /// 1 where pixels are kept and 0 where they are missing, float32: (H, W) for all frames, or (N, 1, H, W) for each of N.
    public let mask: Tensor

    private struct Key: Hashable {
        let dtype: DType
        let device: Device
    }
    private let cache = Cache<Key, Tensor>()

    /// - Parameter mask: (H, W) or (N, 1, H, W) of 0 and 1, any type.
    /// - Throws: `ProblemError.invalidParameter` for another shape or other values, `TensorError` from the engine.
    public init(_ mask: Tensor) throws {
        guard mask.count > 0, mask.rank == 2 || mask.rank == 4 && mask.size(1) == 1 else {
            throw ProblemError.invalidParameter(
                "A mask has the shape (height, width), or (frames, 1, height, width), not \(mask.shape).")
        }
        let mask = try mask.to(.float32)
        guard try (mask * (mask - 1)).isEqual(to: 0).all() else {
            throw ProblemError.invalidParameter("A mask holds 0 (missing) and 1 (known) only; threshold it first.")
        }
        self.mask = mask
    }

    /// A mask without `ratio` of its pixels, rounded to a whole number of them. The same for a seed on every machine.
    /// - Parameter ratio: the fraction removed, in [0, 1].
    public static func random(ratio: Double, seed: UInt64, height: Int, width: Int) throws -> Mask {
        guard (0...1).contains(ratio) else {
            throw ProblemError.invalidParameter(
                "The fraction of pixels that a mask removes lies between 0 and 1, not at \(ratio).")
        }
        guard height > 0, width > 0 else {
            throw ProblemError.invalidParameter("A mask cannot have the size \(width)x\(height).")
        }
        var values = [Float](repeating: 1, count: height * width)
        var generator = RandomGenerator(seed: seed, stream: RandomStream.mask)
        for index in generator.permutation(values.count).prefix(Int((ratio * Double(values.count)).rounded())) {
            values[index] = 0
        }
        return try Mask(Tensor(values, shape: [height, width]))
    }

    public var name: String { "mask \(mask.size(-1))x\(mask.size(-2))\(isOfEachFrame ? " of each frame" : "")" }
    private var isOfEachFrame: Bool { mask.rank > 2 }
    // A frame alone could not tell which of the masks is its own.
    public var mixesFrames: Bool { isOfEachFrame }

    /// - Throws: `ProblemError.maskSize` for frames of another size, `.maskFrames` for another number of them than there are masks.
    public func outputShape(for input: [Int]) throws(ProblemError) -> [Int] {
        try requireVideo(input)
        let size = [mask.size(-2), mask.size(-1)]
        guard size == [input[2], input[3]] else { throw .maskSize(mask: size, height: input[2], width: input[3]) }
        guard !isOfEachFrame || mask.size(0) == input[0] else { throw .maskFrames(mask.size(0), frames: input[0]) }
        return input
    }
    public func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { try outputShape(for: output) }

    public func apply(_ video: Tensor) throws -> Tensor {
        _ = try requireInput(video)
        let key = Key(dtype: video.dtype, device: video.device)
        return try video * cache.value(for: key) { () throws(TensorError) in try mask.to(key.dtype).to(key.device) }
    }
    public func adjoint(_ measurement: Tensor) throws -> Tensor { try apply(measurement) }

    public var knownPixels: Tensor? { mask }
    public func separated(for shape: [Int]) throws -> SeparatedForm? { SeparatedForm(mask: mask) }
}

/// Pixels are missing: a random part of them, or those that a picture or a film marks.
public struct Holes: Stage {
    /// The part of the pixels that is missing, 0 to 1; nil where a file says which.
    public var ratio: Double?
    /// Of a random mask; the same for a seed on every machine.
    public var seed: UInt64?
    /// Path of a picture of the known pixels (white) and the missing ones (black), or of a film with one for each frame.
    public var file: String?
    /// Pixels by which the holes of a file grow; 0 when nil.
    public var grow: Int?
    /// Whether the file marks the missing pixels in white.
    public var inverted: Bool?

    public init(ratio: Double, seed: UInt64 = 0) { (self.ratio, self.seed) = (ratio, seed) }

    public init(file: String, grow: Int? = nil, inverted: Bool? = nil) {
        (self.file, self.grow, self.inverted) = (file, grow, inverted)
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        ratio = try values.decodeIfPresent(Double.self, forKey: .ratio)
        seed = try values.decodeIfPresent(UInt64.self, forKey: .seed) ?? (ratio == nil ? nil : 0)
        file = try values.decodeIfPresent(String.self, forKey: .file)
        grow = try values.decodeIfPresent(Int.self, forKey: .grow)
        inverted = try values.decodeIfPresent(Bool.self, forKey: .inverted)
    }

    public func located(_ place: (String) -> String) -> Holes {
        var copy = self
        copy.file = file.map(place)
        return copy
    }

    public static let kind = "holes"
    public var words: String {
        ratio.map { "\(Int(($0 * 100).rounded())) % of the pixels missing" } ?? "holes (\(file ?? ""))"
    }

    public func makeOperator(for input: StageInput) throws -> any LinearOperator {
        guard (ratio == nil) != (file == nil) else {
            throw ProblemError.invalidParameter(
                "Holes are given by a part of the pixels or by a file; say one of the two.")
        }
        guard (grow ?? 0) >= 0, file != nil || grow == nil && inverted == nil else {
            throw ProblemError.invalidParameter(
                "Holes of a file grow by 0 or more pixels, and only those of a file grow or are inverted.")
        }
        guard let file else {
            return try Mask.random(ratio: ratio ?? 0, seed: seed ?? 0, height: input.height, width: input.width)
        }
        guard let mask = input.files[file] else {
            throw ProblemError.invalidParameter(
                "The mask of this degradation is in the file \(file); read it and hand it over.")
        }
        return try Mask(mask)
    }
}
