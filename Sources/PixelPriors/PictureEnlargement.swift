import Diffusion
import TensorKit
import Weights

/// SPAN to enlarge, and FFDNet to take noise away before: the networks of a learned first estimate, as set-up fetches them. In float32.
public struct PictureEnlargement: Enlargement {
    private let span: SPAN
    private let denoiser: FFDNet

    public var device: Device { span.device }
    public var factor: Int { span.factor }

    public static let networks: [NetworkLibrary.Network] = [.spanX4, .ffdnetColor]

    /// Whether both files are there.
    public static var isAvailable: Bool { networks.allSatisfy { NetworkLibrary.isAvailable($0) } }

    /// Bytes at the peak of a picture's pass, about: SPAN's images of a tile beside the picture that it makes, or FFDNet's of the whole picture at
    /// half its resolution.
    public static func bytes(height: Int, width: Int) -> Int {
        let made = 2 * 3 * 16 * height * width * 4
        return max(SPAN.tileBytes(height: height, width: width) + made, 3 * 96 * height * width / 4 * 4)
    }

    /// - Throws: `WeightsError.networkNotFound`, which says how to fetch them.
    public init(device: Device = .cpu) throws {
        span = try SPAN(device: device)
        denoiser = try FFDNet(device: device)
    }

    public func enlarged(_ pictures: Tensor) throws -> Tensor { try span(pictures) }
    public func denoised(_ pictures: Tensor, sigma: Double) throws -> Tensor {
        try denoiser.estimate(pictures, sigma: sigma)
    }
}
