import Foundation

/// How frames are stored.
public enum VideoEncoding: Sendable, Equatable {
    /// H.264 by x264, 8 bits, limited range, for .mp4, .mov and .mkv.
    ///
    /// `quality` is x264's CRF: 0 (largest) ... 51, 16 is visually lossless. Chroma is halved (4:2:0) unless
    /// `fullChroma` is set or a side is odd: 4:2:0 cannot hold odd sizes, and no pixel is to be lost. Not every
    /// player shows full chroma.
    case h264(quality: Int = 16, fullChroma: Bool = false)
    /// Lossless RGB of 8 or 16 bits for .mkv, every slice with a checksum.
    case ffv1
    /// A folder of lossless PNG pictures of 8 or 16 bits: 000000.png, 000001.png ...
    case png

    /// By the name's extension: .mp4 and .mov H.264, .mkv FFV1, a trailing slash or no extension PNG.
    public init(forPath path: String) throws(VideoError) {
        let ending = (path as NSString).pathExtension.lowercased()
        switch path.hasSuffix("/") ? "" : ending {
        case "mp4", "mov": self = .h264()
        case "mkv": self = .ffv1
        case "": self = .png
        default:
            throw .unsupportedTarget(
                path, reason: "the extension .\(ending) is not known; use .mp4, .mov, .mkv or a folder name")
        }
    }

    /// Refuses what the container cannot hold.
    func check(path: String) throws(VideoError) {
        let ending = path.hasSuffix("/") ? "" : (path as NSString).pathExtension.lowercased()
        switch self {
        case .h264(let quality, _):
            guard ["mp4", "mov", "mkv"].contains(ending) else {
                throw .unsupportedTarget(path, reason: "H.264 goes into .mp4, .mov or .mkv; change the extension")
            }
            guard (0...51).contains(quality) else {
                throw .unsupportedTarget(path, reason: "H.264 quality \(quality) is not in 0...51; 16 is the default")
            }
        case .ffv1:
            guard ending == "mkv" else {
                throw .unsupportedTarget(path, reason: "FFV1 goes into .mkv; change the extension")
            }
        case .png: break
        }
    }

    /// ffmpeg's options for the video stream.
    func arguments(
        width: Int, height: Int, bitDepth: Int, tags: ColourTags, colour: ColourConversion
    ) -> [String] {
        switch self {
        case .h264(let quality, let fullChroma):
            let isOdd = width % 2 != 0 || height % 2 != 0
            let format = fullChroma || isOdd ? "yuv444p" : "yuv420p"
            let filters = colour.fromRGB(to: format, matrix: .bt709, range: "tv")
            return ["-vf", filters.joined(separator: ","), "-c:v", "libx264", "-crf", "\(quality)"]
                + ["-colorspace", "bt709", "-color_range", "tv"]
                + ["-color_primaries", tags.primaries ?? "bt709", "-color_trc", tags.transfer ?? "bt709"]
        case .ffv1:
            let format = bitDepth == 8 ? "bgr0" : "rgb48le"
            // Every frame is a key frame, in slices with checksums: damage stays small and is noticed.
            return ["-pix_fmt", format, "-c:v", "ffv1", "-level", "3", "-g", "1", "-slices", "4", "-slicecrc", "1"]
                + ["-color_range", "pc"]
                + ["-color_primaries", tags.primaries ?? "bt709", "-color_trc", tags.transfer ?? "bt709"]
        case .png:
            return ["-pix_fmt", bitDepth == 8 ? "rgb24" : "rgb48be", "-c:v", "png"]
        }
    }
}
