/// The ffmpeg filters that turn YUV into full-range RGB and back.
///
/// `zscale` (libzimg) is exact to a 16-bit step. ffmpeg's own scaler puts the white of 16-bit RGB at 65280 rather than
/// 65535, 1/255 too low, so it only stands in where ffmpeg was built without libzimg or for the one matrix that
/// libzimg's filter does not take (smpte240m).
struct ColourConversion: Sendable {
    enum Matrix: String, Sendable {
        case bt709, bt601, fcc, bt2020, smpte240m

        var zscaleName: String? {
            switch self {
            case .bt709: "709"
            case .bt601: "170m"
            case .fcc: "fcc"
            case .bt2020: "2020_ncl"
            case .smpte240m: nil
            }
        }
    }

    let hasZscale: Bool

    /// Looks once per process whether this ffmpeg has `zscale`.
    static func detected() async -> ColourConversion { await detection.value }
    private static let detection = Task {
        let answer = try? await FFmpeg.collect("ffmpeg", ["-hide_banner", "-h", "filter=zscale"], limit: 1 << 20)
        return ColourConversion(
            hasZscale: String(decoding: answer?.output ?? [], as: UTF8.self).hasPrefix("Filter zscale"))
    }

    /// Filters from a YUV or grey stream to "rgb48le" of a fixed size.
    func toRGB(_ info: VideoInfo, matrix: Matrix) -> [String] {
        let (size, range) = ("\(info.width):\(info.height)", info.decodingRange)
        // From planar to interleaved components, which changes no value.
        let interleave = ["format=gbrp16le", "scale=flags=\(FFmpeg.scalerFlags)", "format=rgb48le"]
        guard hasZscale, let name = matrix.zscaleName else {
            // By way of planar RGB: only there does the scaler interpolate chroma in full.
            return [
                "scale=\(size):in_color_matrix=\(matrix):in_range=\(range):out_range=pc:flags=\(FFmpeg.scalerFlags)"
            ]
                + interleave
        }
        let zscale = "zscale=\(size):matrixin=\(name):rangein=\(range):matrix=gbr:range=pc:filter=bicubic:dither=none"
        return evened(info) + [zscale] + interleave
    }

    /// Filters from full-range RGB to a YUV format.
    func fromRGB(to format: String, matrix: Matrix, range: String) -> [String] {
        guard hasZscale, let name = matrix.zscaleName else {
            return [
                "scale=in_range=pc:out_color_matrix=\(matrix):out_range=\(range):flags=\(FFmpeg.scalerFlags)",
                "format=\(format)",
            ]
        }
        return [
            "zscale=matrixin=gbr:rangein=pc:matrix=\(name):range=\(range):filter=bicubic:dither=none",
            "format=\(format)",
        ]
    }

    /// libzimg refuses subsampled pictures of odd size; they get full chroma first.
    private func evened(_ info: VideoInfo) -> [String] {
        let isSubsampled = !info.pixelFormat.contains("444") && !info.pixelFormat.hasPrefix("gray")
        guard isSubsampled, info.width % 2 != 0 || info.height % 2 != 0 else { return [] }
        let range = info.decodingRange
        let depth = [9, 10, 12, 14].contains(info.bitDepth) ? info.bitDepth : info.bitDepth <= 8 ? 8 : 16
        return [
            "scale=in_range=\(range):out_range=\(range):flags=\(FFmpeg.scalerFlags)",
            "format=yuv444p\(depth == 8 ? "" : "\(depth)le")",
        ]
    }
}
