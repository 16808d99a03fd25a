import TensorKit

/// A degradation in a few numbers, from which the operator is built for frames of any size: what a project file or a command line holds.
///
/// Every part is optional. They come in a fixed order: the average over time first, then in space the blur, the pooling and the mask (which
/// has the pooled frames' size).
///
///     let degradation = try Degradation(task: "sr4+")
///     let measurement = try degradation.operator(height: 768, width: 1280).apply(video)
public struct Degradation: Sendable, Equatable {
    /// Factor of the average pooling.
    public var scale: Int?
    /// Standard deviation of the Gaussian blur in pixels.
    public var blurSigma: Double?
    /// Taps of its kernel, odd.
    public var blurSize = 61
    public var blurBoundary = BlurBoundary.reflect
    /// The fraction of pixels that a random mask removes, in [0, 1].
    public var maskRatio: Double?
    public var maskSeed: UInt64 = 0
    /// Path of a picture of the mask, instead of a random one; reading it is up to the caller.
    public var maskFile: String?
    /// Frames of the average over time.
    public var averageWindow: Int?
    public var averageBoundary = TemporalBoundary.circular

    /// No degradation at all.
    public init() {}

    /// The paper's tasks by name: `sr4` (average pooling by 4), `deblur` (61x61 Gaussian, sigma 3), `inpaint` (half of the pixels removed),
    /// `average` (over 7 frames, circular), and `sr4+`, `deblur+`, `inpaint+`, which average over time first.
    /// - Throws: `ProblemError.unknownTask`, which lists the names.
    public init(task: String) throws(ProblemError) {
        guard Self.tasks.contains(task) else { throw .unknownTask(task, known: Self.tasks) }
        switch task.prefix(while: { $0 != "+" }) {
        case "sr4": scale = 4
        case "deblur": blurSigma = 3
        case "inpaint": maskRatio = 0.5
        default: break
        }
        if task == "average" || task.hasSuffix("+") { averageWindow = 7 }
    }

    /// The names that `init(task:)` knows.
    public static let tasks = ["sr4", "deblur", "inpaint", "average", "sr4+", "deblur+", "inpaint+"]

    /// The operator for full-size frames.
    /// - Parameters:
    ///   - height: of X, likewise `width`.
    ///   - mask: (H, W) of 0 and 1 of the frames' size after pooling: what is in `maskFile`. It goes before a random mask.
    /// - Throws: `ProblemError` for values out of range, frames that do not fit, or a mask file whose mask was not handed over.
    public func `operator`(height: Int, width: Int, mask: Tensor? = nil) throws -> any LinearOperator {
        var parts: [any LinearOperator] = []
        if let averageWindow { parts.append(try TemporalAverage(window: averageWindow, boundary: averageBoundary)) }
        if let blurSigma { parts.append(try GaussianBlur(size: blurSize, sigma: blurSigma, boundary: blurBoundary)) }
        var size = [1, 1, height, width]
        if let scale {
            let pooling = try AveragePooling(factor: scale)
            size = try pooling.outputShape(for: size)
            parts.append(pooling)
        }
        if let mask {
            let operation = try Mask(mask)
            _ = try operation.outputShape(for: size)
            parts.append(operation)
        } else if let maskFile {
            throw ProblemError.invalidParameter("The mask of this degradation is in the file \(maskFile); read it and hand it over.")
        } else if let maskRatio {
            parts.append(try Mask.random(ratio: maskRatio, seed: maskSeed, height: size[2], width: size[3]))
        }
        guard let first = parts.first else { return Identity() }
        return parts.dropFirst().reduce(first) { Composition(first: $0, second: $1) }
    }

    /// The shape of X from the shape of Y, both (N, C, H, W).
    public func fullSize(ofMeasurement shape: [Int]) throws(ProblemError) -> [Int] {
        try requireVideo(shape)
        var full = shape
        if let scale { full = try AveragePooling(factor: scale).inputShape(for: full) }
        if let averageWindow { full = try TemporalAverage(window: averageWindow, boundary: averageBoundary).inputShape(for: full) }
        return full
    }
}

extension Degradation: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case scale, blurSigma, blurSize, blurBoundary, maskRatio, maskSeed, maskFile, averageWindow, averageBoundary
    }

    private struct AnyKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Anything may be left out; a key that does not exist is refused, since a misspelt one would silently change the problem.
    public init(from decoder: any Decoder) throws {
        let known = CodingKeys.allCases.map(\.rawValue)
        if let key = try decoder.container(keyedBy: AnyKey.self).allKeys.first(where: { !known.contains($0.stringValue) }) {
            throw ProblemError.invalidParameter(
                "A degradation has no '\(key.stringValue)'; its parts are \(known.joined(separator: ", ")).")
        }
        let values = try decoder.container(keyedBy: CodingKeys.self)
        scale = try values.decodeIfPresent(Int.self, forKey: .scale)
        blurSigma = try values.decodeIfPresent(Double.self, forKey: .blurSigma)
        blurSize = try values.decodeIfPresent(Int.self, forKey: .blurSize) ?? blurSize
        blurBoundary = try values.decodeIfPresent(BlurBoundary.self, forKey: .blurBoundary) ?? blurBoundary
        maskRatio = try values.decodeIfPresent(Double.self, forKey: .maskRatio)
        maskSeed = try values.decodeIfPresent(UInt64.self, forKey: .maskSeed) ?? maskSeed
        maskFile = try values.decodeIfPresent(String.self, forKey: .maskFile)
        averageWindow = try values.decodeIfPresent(Int.self, forKey: .averageWindow)
        averageBoundary = try values.decodeIfPresent(TemporalBoundary.self, forKey: .averageBoundary) ?? averageBoundary
    }
}

extension Degradation {
    /// The random mask of this degradation, (h, w) of 0 and 1 of the measurement's size; nil where there is none or it is in a file.
    /// - Parameters:
    ///   - height: of X, likewise `width`.
    public func randomMask(height: Int, width: Int) throws -> Tensor? {
        guard maskFile == nil, let maskRatio else { return nil }
        let scale = scale ?? 1
        return try Mask.random(ratio: maskRatio, seed: maskSeed, height: height / scale, width: width / scale).mask
    }
}
