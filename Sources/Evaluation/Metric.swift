import Weights

/// A number that says how good a restoration is.
public enum Metric: String, Sendable, Codable, CaseIterable, CodingKeyRepresentable {
    /// Peak signal-to-noise ratio, dB.
    case psnr
    /// Structural similarity (Wang et al. 2004).
    case ssim
    /// Learned perceptual distance (Zhang et al. 2018), AlexNet.
    case lpips
    /// The same, VGG16.
    case lpipsVGG = "lpips-vgg"
    /// Fréchet video distance (Unterthiner et al. 2018): one number for all clips of a task.
    case fvd
    /// Mean change from frame to frame where the truth stands still, minus the truth's own, in units of [-1, 1].
    case flicker
    /// Mean |d/dt X - d/dt truth|, in units of [-1, 1].
    case temporalError = "temporal-error"

    /// How tables call it, with the direction that is better.
    public var title: String {
        switch self {
        case .psnr: "PSNR ↑"
        case .ssim: "SSIM ↑"
        case .lpips: "LPIPS ↓"
        case .lpipsVGG: "LPIPS (VGG) ↓"
        case .fvd: "FVD ↓"
        case .flicker: "flicker over truth ↓"
        case .temporalError: "temporal error ↓"
        }
    }

    public var isBetterWhenLarger: Bool { self == .psnr || self == .ssim }
    /// Digits after the point in tables.
    var digits: Int {
        switch self {
        case .psnr: 2
        case .ssim, .lpips, .lpipsVGG: 3
        case .fvd: 1
        case .flicker, .temporalError: 4
        }
    }
}

extension Metric {
    /// What has to be fetched for it.
    var network: NetworkLibrary.Network? {
        switch self {
        case .lpips: .lpipsAlexNet
        case .lpipsVGG: .lpipsVGG16
        case .fvd: .i3dKinetics400
        case .psnr, .ssim, .flicker, .temporalError: nil
        }
    }
}
