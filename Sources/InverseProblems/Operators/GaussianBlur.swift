import Foundation
import TensorKit

/// What a blur sees beyond the border of a frame.
public enum BlurBoundary: String, Sendable, Hashable, Codable, CaseIterable {
    /// Mirrored about the border pixels, which are not repeated (the paper's).
    case reflect
    /// The other side's pixels.
    case circular
    /// Nothing: 0, mid-grey.
    case zero
}

/// Gaussian blur of every frame, as two one-dimensional passes: A = G_h G_w, the kernel's sum is 1.
///
/// Frames may be smaller than the kernel (a reflection is reflected again). Taps too small to change a float32 sum are left out, so a
/// kernel of 61 taps with sigma 3 costs 37. Cost at 25x3x768x1280 float32: about 0.4 s on two AVX2 cores.
public struct GaussianBlur: LinearOperator {
    public let size: Int
    public let sigma: Double
    public let boundary: BlurBoundary

    /// The kernel's taps from the centre outwards.
    package let half: [Double]
    private let map: AxisMap

    /// - Parameters:
    ///   - size: taps of the kernel, odd, 9999 at most.
    ///   - sigma: standard deviation in pixels; 0 is the identity.
    /// - Throws: `ProblemError.invalidParameter` for another size or a negative sigma.
    public init(size: Int = 61, sigma: Double = 3, boundary: BlurBoundary = .reflect) throws(ProblemError) {
        guard (1...9999).contains(size), size % 2 == 1 else {
            throw .invalidParameter("A blur kernel needs an odd number of taps from 1 to 9999, not \(size).")
        }
        guard sigma.isFinite, sigma >= 0 else {
            throw .invalidParameter("A blur's sigma is a number of pixels from 0 on, not \(sigma).")
        }
        self.size = size
        self.sigma = sigma
        self.boundary = boundary
        let half = Self.taps(size: size, sigma: sigma)
        self.half = half
        map = AxisMap { Self.matrix(half: half, length: $0, boundary: boundary) }
    }

    /// Step 4 of Algorithm 1: X * h_sigma. The default number of taps reaches four sigma, 15 at least.
    public static func lowPass(sigma: Double, taps: Int? = nil) throws(ProblemError) -> GaussianBlur {
        // An absurd sigma must not overflow the conversion; init refuses what is not a number from 0 on.
        let reach = sigma.isFinite && sigma >= 0 ? Int(min(4 * sigma, 4999).rounded(.up)) : 0
        return try GaussianBlur(size: taps ?? max(15, 2 * reach + 1), sigma: sigma, boundary: .reflect)
    }

    public var name: String { "Gaussian blur \(size)x\(size), sigma \(sigma), \(boundary.rawValue)" }
    public var mixesFrames: Bool { false }

    public func outputShape(for input: [Int]) throws(ProblemError) -> [Int] {
        try requireVideo(input)
        return input
    }
    public func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { try outputShape(for: output) }

    public func apply(_ video: Tensor) throws -> Tensor {
        _ = try requireInput(video)
        return try blurred(video, transposed: false)
    }
    public func adjoint(_ measurement: Tensor) throws -> Tensor {
        _ = try requireOutput(measurement)
        return try blurred(measurement, transposed: true)
    }

    public func separated(for shape: [Int]) throws -> SeparatedForm? {
        if half.count == 1 { return SeparatedForm() }
        return try SeparatedForm(
            rows: .matrix(map.factor(length: shape[2])), columns: .matrix(map.factor(length: shape[3])))
    }

    private func blurred(_ video: Tensor, transposed: Bool) throws(TensorError) -> Tensor {
        if half.count == 1 { return video }
        let rows = try map.product(video, along: 2, length: video.size(2), transposed: transposed)
        return try map.product(rows, along: 3, length: video.size(3), transposed: transposed)
    }

    /// Normalised taps 0, 1 ... of a kernel of `size`; tails of less than 1e-9 in sum are left out after the normalisation.
    static func taps(size: Int, sigma: Double) -> [Double] {
        guard sigma > 0 else { return [1] }
        var half = (0...size / 2).map { exp(-0.5 * pow(Double($0) / sigma, 2)) }
        let sum = half[0] + 2 * half.dropFirst().reduce(0, +)
        half = half.map { $0 / sum }
        var tail = 0.0
        while let last = half.last, half.count > 1, tail + 2 * last < 1e-9 {
            tail += 2 * last
            half.removeLast()
        }
        // The sum stays 1 in float64, too.
        half[0] += tail
        return half
    }

    /// Makes the matrices for videos of a shape, which copies them to a GPU: there the first `apply` would wait.
    package func prepare(for shape: [Int], _ dtype: DType, _ device: Device) throws(TensorError) {
        guard half.count > 1 else { return }
        for axis in [2, 3] { try map.prepare(length: shape[axis], dtype, device) }
    }

    static func matrix(half: [Double], length: Int, boundary: BlurBoundary) -> SparseMatrix {
        var matrix = SparseMatrix(rows: length, columns: length)
        for row in 0..<length {
            for offset in -(half.count - 1)...(half.count - 1) {
                guard let column = boundary.index(row + offset, length: length) else { continue }
                matrix.rows[row][column, default: 0] += half[abs(offset)]
            }
        }
        return matrix
    }
}

extension BlurBoundary {
    /// Which pixel of a line stands at `position`, inside or beyond its border; nil for none.
    func index(_ position: Int, length: Int) -> Int? {
        func modulo(_ a: Int, _ b: Int) -> Int { (a % b + b) % b }
        switch self {
        case .zero: return (0..<length).contains(position) ? position : nil
        case .circular: return modulo(position, length)
        case .reflect:
            guard length > 1 else { return 0 }
            let folded = modulo(position, 2 * (length - 1))
            return min(folded, 2 * (length - 1) - folded)
        }
    }
}

/// The frames were blurred by a Gaussian.
public struct Blur: Stage {
    /// Standard deviation in pixels, 0 or more.
    public var sigma: Double
    /// Taps of the kernel, odd.
    public var size: Int
    public var boundary: BlurBoundary

    public static let ordinarySize = 61

    public init(sigma: Double, size: Int = ordinarySize, boundary: BlurBoundary = .reflect) {
        self.sigma = sigma
        self.size = size
        self.boundary = boundary
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            sigma: try values.decode(Double.self, forKey: .sigma),
            size: try values.decodeIfPresent(Int.self, forKey: .size) ?? Self.ordinarySize,
            boundary: try values.decodeIfPresent(BlurBoundary.self, forKey: .boundary) ?? .reflect)
    }

    public static let kind = "blur"
    public var words: String { "Gaussian blur, sigma \(sigma)" }

    public func makeOperator(for input: StageInput) throws -> any LinearOperator {
        try GaussianBlur(size: size, sigma: sigma, boundary: boundary)
    }
}
