import Weights

/// A number that says how near a video is to its reference. The order is that in which programs list and print them.
public enum Metric: String, Sendable, Codable, CaseIterable, CodingKeyRepresentable {
    /// Peak signal-to-noise ratio, dB.
    case psnr
    /// Structural similarity (Wang et al. 2004).
    case ssim
    /// Learned perceptual distance (Zhang et al. 2018), AlexNet.
    case lpips
    /// The same, VGG16.
    case lpipsVGG = "lpips-vgg"
    /// Fréchet video distance (Unterthiner et al. 2018): one number for two sets of clips.
    case fvd
    /// Mean change from frame to frame where the reference stands still, beside its own, in units of [-1, 1].
    case flicker
    /// Mean |d/dt X - d/dt reference|, in units of [-1, 1].
    case temporalError = "temporal-error"

    /// What the field calls it. Flicker is told as what the reference does not have.
    public var name: String {
        switch self {
        case .psnr: "PSNR"
        case .ssim: "SSIM"
        case .lpips: "LPIPS"
        case .lpipsVGG: "LPIPS (VGG)"
        case .fvd: "FVD"
        case .flicker: "flicker over truth"
        case .temporalError: "temporal error"
        }
    }

    /// The name with the direction that is better, as tables have it: `PSNR ↑`.
    public var title: String { "\(name) \(isBetterWhenLarger ? "↑" : "↓")" }

    public var isBetterWhenLarger: Bool { self == .psnr || self == .ssim }

    /// Digits after the point in tables.
    public var digits: Int {
        switch self {
        case .psnr: 2
        case .ssim, .lpips, .lpipsVGG: 3
        case .fvd: 1
        case .flicker, .temporalError: 4
        }
    }

    /// What it is, in one line of at most 62 letters for programs' help.
    public var explanation: String {
        switch self {
        case .psnr: "in dB; more is better"
        case .ssim: "Wang et al. 2004, window of 11 pixels, sigma 1.5; 1 is best"
        case .lpips: "Zhang et al. 2018, v0.1, AlexNet; 0 is best"
        case .lpipsVGG: "the same with VGG16, which takes far longer"
        case .fvd: "Unterthiner et al. 2018, between sets of clips; 0 is best"
        case .flicker: "|change in time| where the reference is still, beside its own"
        case .temporalError: "|change in time - the reference's|; 0 is best"
        }
    }

    /// The network that it needs; nil for none.
    public var network: NetworkLibrary.Network? {
        switch self {
        case .lpips: .lpipsAlexNet
        case .lpipsVGG: .lpipsVGG16
        case .fvd: .i3dKinetics400
        case .psnr, .ssim, .flicker, .temporalError: nil
        }
    }

    /// Why its network is not here, with how to fetch it; nil where nothing is missing. Cost: it looks for a file.
    public var missingNetwork: WeightsError? {
        guard let network else { return nil }
        do throws(WeightsError) {
            _ = try NetworkLibrary.url(of: network)
            return nil
        } catch {
            return error
        }
    }
}
