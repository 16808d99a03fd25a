/// An encoding with nothing left open.
struct SettledEncoding: Sendable, Equatable {
    let codec: VideoEncoding.Codec
    let encoder: String
    /// "yuv420p10le".
    let pixelFormat: String
    let bits: Int
    let quality: Int?
    let extraArguments: [String]

    var isRGB: Bool { ["rgb", "bgr", "gbr", "pal"].contains { pixelFormat.hasPrefix($0) } }
}

extension SettledEncoding {
    /// ffmpeg's options for the video stream.
    /// - Parameters:
    ///   - tags: of what came in; what they leave open becomes bt709.
    ///   - aspect: of a pixel, "64:45".
    func arguments(
        tags: ColourTags, aspect: String?, mastering: MasteringData?, container: Container, colour: ColourConversion
    ) -> [String] {
        var filters: [String] = []
        var options: [(name: String, value: String)] = [("c", encoder)]
        if isRGB {
            // `bgr0`, `gbrp10le`: no value changes but for the depth.
            filters.append("scale=in_range=pc:out_range=pc:flags=\(FFmpeg.scalerFlags)")
            filters.append("format=\(pixelFormat)")
            if codec != .png { options.append(("color_range", "pc")) }
        } else {
            let (matrix, name) = Self.matrix(of: tags)
            let range = codec == .prores ? "tv" : tags.range ?? "tv"
            filters += colour.fromRGB(to: pixelFormat, matrix: matrix, range: range)
            options += [("colorspace", name), ("color_range", range)]
        }
        if let aspect { filters.append("setsar=\(aspect.replacing(":", with: "/"))") }
        if codec != .png {
            options += [("color_primaries", tags.primaries ?? "bt709"), ("color_trc", tags.transfer ?? "bt709")]
        }
        if let quality { options.append(("crf", "\(quality)")) }
        switch encoder {
        case "libx264":
            if let mastering {
                options.append(("x264-params", mastering.parameters(display: "mastering-display", "cll")))
            }
        case "libx265":
            let parameters = mastering.map { ":" + $0.parameters(display: "master-display", "max-cll") + ":hdr10=1" }
            options.append(("x265-params", "log-level=error" + (parameters ?? "")))
        case "libaom-av1": options += [("b", "0"), ("cpu-used", "4"), ("row-mt", "1")]
        case "libsvtav1": options.append(("preset", "6"))
        case "prores_ks":
            options += [("profile", pixelFormat.contains("444") ? "4444" : "hq"), ("vendor", "apl0")]
        // Every frame is a key frame, in slices with checksums: damage stays small and is noticed.
        case "ffv1": options += [("level", "3"), ("g", "1"), ("slices", "4"), ("slicecrc", "1")]
        default: break
        }
        // Apple's players know H.265 by this name alone.
        if codec == .h265, container != .mkv { options.append(("tag", "hvc1")) }
        options.append(("filter", filters.joined(separator: ",")))
        // Of the first picture track alone: a cover may stand beside it.
        return options.flatMap { ["-\($0.name):v:0", $0.value] }
    }

    /// The matrix to convert with, and the tag that says so.
    private static func matrix(of tags: ColourTags) -> (ColourConversion.Matrix, String) {
        switch tags.matrix {
        case "smpte170m", "bt470bg": (.bt601, tags.matrix ?? "")
        case "bt2020nc": (.bt2020, "bt2020nc")
        case "fcc": (.fcc, "fcc")
        case "smpte240m": (.smpte240m, "smpte240m")
        default: (.bt709, "bt709")
        }
    }
}

extension SettledEncoding {
    /// Refuses to put values that stand for HDR's light where nothing would say so.
    func check(_ tags: ColourTags, path: String) throws(VideoError) {
        guard tags.isHDR else { return }
        if codec == .png || codec == .raw {
            throw .unsupportedTarget(
                path, reason: "the video is HDR, and \(codec.title) cannot say so; write a .mkv, or a .mp4 of 10 bits")
        }
        if bits < 10 {
            throw .unsupportedTarget(
                path, reason: "the video is HDR, which takes 10 bits or more; store 10 bits, in H.265 or a .mkv")
        }
    }
}
