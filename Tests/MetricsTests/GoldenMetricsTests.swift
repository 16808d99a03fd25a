import Metrics
import TensorKit
import Testing

/// Numbers of scikit-image 0.26 and NumPy, made by
///
///     import numpy as np
///     from skimage.metrics import peak_signal_noise_ratio, structural_similarity
///     def picture(n, h, w):
///         n, c, y, x = np.ogrid[:n, :3, :h, :w]
///         a = 0.6 * np.sin(0.3 * x + 0.5 * c + 0.2 * n) * np.cos(0.2 * y) + 0.3 * ((7 * x + 13 * y + 5 * c) % 17) / 17
///         b = 0.9 * a + 0.2 * ((11 * x + 3 * y + 7 * c + 5 * n) % 13) / 13 * (1 + n) / 2
///         return a, b
///     for h, w in [(24, 32), (11, 11), (13, 40)]:
///         for p, q in zip(*picture(2, h, w)):
///             print(h, w, peak_signal_noise_ratio(p, q, data_range=2),
///                   structural_similarity(p + 1, q + 1, data_range=2, channel_axis=0, gaussian_weights=True, sigma=1.5,
///                                         use_sample_covariance=False))
///     a, b = picture(2, 13, 40)
///     print(abs(np.diff(a, axis=0)).mean(), abs(np.diff(b, axis=0) - np.diff(a, axis=0)).mean())
@Suite struct GoldenMetricsTests {
    struct Golden: Sendable {
        let height: Int, width: Int
        let psnr: [Double], ssim: [Double]
    }

    static let goldens = [
        Golden(
            height: 24, width: 32, psnr: [31.28607972498837, 25.731041186434172],
            ssim: [0.9779616211600556, 0.9312571991792836]),
        Golden(
            height: 11, width: 11, psnr: [33.397729581404164, 26.8099224262218],
            ssim: [0.9780643444545299, 0.938367467929076]),
        Golden(
            height: 13, width: 40, psnr: [31.66196095877949, 25.8885370688376],
            ssim: [0.9770352812750587, 0.926020028118394]),
    ]

    @Test(arguments: goldens) func agreesWithScikitImage(golden: Golden) throws {
        let (a, b) = try pictures(2, golden.height, golden.width)
        #expect(isClose(try psnr(a, b).perFrame, golden.psnr, within: 1e-9))
        #expect(isClose(try ssim(a, b).perFrame, golden.ssim, within: 1e-11))
    }

    @Test func float32IsEnough() throws {
        let golden = Self.goldens[0]
        let (a, b) = try pictures(2, golden.height, golden.width, type: .float32)
        #expect(isClose(try psnr(a, b).perFrame, golden.psnr, within: 1e-5))
        #expect(isClose(try ssim(a, b).perFrame, golden.ssim, within: 1e-6))
    }

    /// Eight-bit pixels, 0 to 255: `q = lambda z: np.clip(np.round((z + 1) * 127.5), 0, 255).astype(np.uint8)` of the first frames.
    @Test func eightBitPixels() throws {
        let (a, b) = try pictures(1, 24, 32)
        func quantized(_ x: Tensor) throws -> Tensor { try ((x + 1) * 127.5).rounded().clamped(to: 0...255).to(.uint8) }
        let (p, q) = (try quantized(a), try quantized(b))
        #expect(abs(try psnr(p, q, range: 255).mean - 31.280426514133133) < 1e-9)
        #expect(abs(try ssim(p, q, black: 0, range: 255).mean - 0.977707309716679) < 1e-11)
    }

    @Test func changesInTimeAgreeWithNumPy() throws {
        let (a, b) = try pictures(2, 13, 40)
        #expect(isClose(try flicker(a).perFrame, [0.04311443023209968], within: 1e-12))
        #expect(isClose(try temporalError(b, a).perFrame, [0.0816553982983635], within: 1e-12))
    }
}
