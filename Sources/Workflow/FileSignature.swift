import InverseProblems
import VideoIO
import VisionXL

extension Policy {
    /// A few letters that change when any default of a file's restoration comes out otherwise: what results that are kept are known by.
    package static func fileSignature(_ asked: RestorationOptions) throws -> String {
        try signature(asked) + noiseSignature
    }

    /// The same of a file's noise.
    private static let noiseSignature: String = {
        let problems = [Problem(), Problem(Average(frames: 7)), Problem(Average(frames: 7), Blur(sigma: 3))]
        let steps: [Double?] = [nil, 0.002, 0.02, 0.2]
        return shortHash(
            of: problems.flatMap { problem in
                ["ffv1", "h264", "prores", "vp9"].flatMap { codec in
                    [false, true].flatMap { isRGB in
                        steps.map { step in
                            let info = VideoInfo(
                                width: 64, height: 48, frameRate: .fps25, frameCount: 5, codec: codec, bitDepth: 8,
                                pixelFormat: isRGB ? "gbrp" : "yuv420p", isRGB: isRGB)
                            return
                                "\(noise(nil, of: problem, recorded: nil, file: info, quantizerStep: step) { 0.01 }.sigma)"
                        }
                    }
                }
            })
    }()
}
