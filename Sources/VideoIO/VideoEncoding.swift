import Foundation

/// How frames are stored: a codec, and what is left open where it is nil.
///
///     let encoding = VideoEncoding.h265(quality: 20)
///     let writer = try await VideoWriter(to: "large.mp4", ..., encoding: encoding)
public struct VideoEncoding: Sendable, Equatable {
    public enum Codec: String, Sendable, Codable, CaseIterable {
        /// By x264, of 8 or 10 bits, for .mp4, .mov and .mkv.
        case h264
        /// By x265, of 8 or 10 bits, for .mp4, .mov and .mkv.
        case h265
        /// By SVT-AV1 or libaom, of 8 or 10 bits, for .mp4 and .mkv.
        case av1
        /// ProRes 422 HQ of 10 bits for .mov and .mkv.
        case prores
        /// Lossless RGB of 8, 10 or 16 bits for .mkv, every slice with a checksum.
        case ffv1
        /// A folder of lossless PNG pictures of 8 or 16 bits: 000000.png, 000001.png ...
        case png
        /// Numbers in [-1, 1], not rounded, in a .npy or .safetensors: (N, 3, H, W).
        case float32
        /// Uncompressed, of 8 or 10 bits, for .y4m.
        case raw
    }

    public var codec: Codec
    /// The encoder's constant rate factor: 0 is the largest file; see `Codec.qualities`.
    public var quality: Int?
    /// Of each component in the file. What comes in when nil, and the codec's usual number where it has one.
    public var bits: Int?
    /// ffmpeg's name of the stored pixel format, such as "yuv444p10le"; it says the bits, too.
    public var pixelFormat: String?
    /// Does not halve chroma where that is the codec's habit. Not every player shows full chroma.
    public var fullChroma = false
    /// Words for ffmpeg in front of the output's name, for what is not foreseen here.
    public var extraArguments: [String] = []

    public init(
        _ codec: Codec, quality: Int? = nil, bits: Int? = nil, pixelFormat: String? = nil, extraArguments: [String] = []
    ) {
        (self.codec, self.quality, self.bits) = (codec, quality, bits)
        (self.pixelFormat, self.extraArguments) = (pixelFormat, extraArguments)
    }

    public static func h264(quality: Int = 16, fullChroma: Bool = false) -> VideoEncoding {
        var encoding = VideoEncoding(.h264, quality: quality)
        encoding.fullChroma = fullChroma
        return encoding
    }
    public static func h265(quality: Int = 18) -> VideoEncoding { VideoEncoding(.h265, quality: quality) }
    public static let ffv1 = VideoEncoding(.ffv1)
    public static let png = VideoEncoding(.png)

    /// By the name's extension: .mkv FFV1, a trailing slash or no extension PNG; .mp4 and .mov H.264, or H.265 where
    /// more than 8 bits came in.
    /// - Parameter storedBits: of what came in.
    public init(forPath path: String, storedBits: Int = 8) throws(VideoError) {
        switch try Container(path: path) {
        case .mp4, .mov: self = storedBits > 8 ? VideoEncoding(.h265) : VideoEncoding(.h264)
        case .mkv: self = .ffv1
        case .pictures: self = .png
        case .npy, .safetensors: self = VideoEncoding(.float32)
        case .y4m: self = VideoEncoding(.raw)
        }
    }
}

/// What holds the frames: a kind of file, or a folder.
public enum Container: String, Sendable, CaseIterable {
    case mp4, mov, mkv
    /// Uncompressed frames one after the other, as programs hand them to each other.
    case y4m
    /// Arrays of numbers.
    case npy, safetensors
    case pictures = "folder of pictures"

    /// By the name's extension.
    public init(path: String) throws(VideoError) {
        let ending = path.hasSuffix("/") ? "" : (path as NSString).pathExtension.lowercased()
        switch ending {
        case "mp4": self = .mp4
        case "mov": self = .mov
        case "mkv": self = .mkv
        case "y4m": self = .y4m
        case "npy": self = .npy
        case "safetensors": self = .safetensors
        case "": self = .pictures
        default:
            throw .unsupportedTarget(
                path,
                reason: "the extension .\(ending) is not known; use .mp4, .mov, .mkv, .y4m, a folder name,"
                    + " or .npy or .safetensors for numbers")
        }
    }

    /// Whether it has nothing but frames, without times.
    var isFramesAlone: Bool { ![.mp4, .mov, .mkv].contains(self) }

    /// "a .mp4", "a folder of pictures".
    var words: String { self == .pictures ? "a folder of pictures" : "a .\(rawValue)" }
}

extension VideoEncoding.Codec {
    /// As people write it.
    public var title: String {
        switch self {
        case .h264: "H.264"
        case .h265: "H.265"
        case .av1: "AV1"
        case .prores: "ProRes"
        case .ffv1: "FFV1"
        case .png: "PNG"
        case .float32: "float32"
        case .raw: "Uncompressed video"
        }
    }

    /// Whether the file gives back the values that came in, at the bits that it stores.
    public var isLossless: Bool { self == .ffv1 || self == .png || self == .float32 }

    /// The bits of a component that it can store.
    public var depths: [Int] {
        switch self {
        case .h264, .h265, .av1, .raw: [8, 10]
        case .prores: [10]
        case .ffv1: [8, 10, 16]
        case .png: [8, 16]
        case .float32: [32]
        }
    }

    /// Of constant rate factors; nil where there is none.
    public var qualities: ClosedRange<Int>? {
        switch self {
        case .h264, .h265: 0...51
        case .av1: 0...63
        case .prores, .ffv1, .png, .float32, .raw: nil
        }
    }

    /// Visually lossless.
    var usualQuality: Int {
        switch self {
        case .av1: 20
        case .h265: 18
        default: 16
        }
    }

    /// Whether a kind of file, or a folder, can have it.
    public func isHeld(by container: Container) -> Bool { containers.contains(container) }

    var containers: [Container] {
        switch self {
        case .h264, .h265: [.mp4, .mov, .mkv]
        case .av1: [.mp4, .mkv]
        case .prores: [.mov, .mkv]
        case .ffv1: [.mkv]
        case .png: [.pictures]
        case .float32: [.npy, .safetensors]
        case .raw: [.y4m]
        }
    }

    /// ffmpeg's encoders, the best first.
    var encoders: [String] {
        switch self {
        case .h264: ["libx264"]
        case .h265: ["libx265"]
        case .av1: ["libsvtav1", "libaom-av1"]
        case .prores: ["prores_ks"]
        case .ffv1: ["ffv1"]
        case .png: ["png"]
        case .float32: []
        case .raw: ["wrapped_avframe"]
        }
    }
}

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

extension VideoEncoding {
    /// Refuses what the container cannot hold, and numbers out of range.
    func check(path: String) throws(VideoError) {
        // A folder of pictures may have any name but a film's.
        let container = codec == .png ? (try? Container(path: path)) ?? .pictures : try Container(path: path)
        guard codec.containers.contains(container) else {
            let names = codec.containers.map { $0 == .pictures ? "a folder" : ".\($0.rawValue)" }
            throw .unsupportedTarget(
                path,
                reason: "\(codec.title) goes into \(Self.either(names)); change the output's name, or --codec")
        }
        if let quality {
            guard let range = codec.qualities else {
                throw .unsupportedTarget(path, reason: "\(codec.title) has no --crf; leave it out")
            }
            guard range.contains(quality) else {
                throw .unsupportedTarget(
                    path,
                    reason: "\(codec.title) quality \(quality) is not in \(range);"
                        + " \(codec.usualQuality) is the default")
            }
        }
        if let bits, !codec.depths.contains(bits) {
            throw .unsupportedTarget(
                path,
                reason: "\(codec.title) stores \(Self.either(codec.depths.map(String.init))) bits, not \(bits);"
                    + " change --bits, or --codec")
        }
    }

    private static func either(_ words: [String]) -> String {
        words.count < 2
            ? words.joined() : words.dropLast().joined(separator: ", ") + " or \(words[words.count - 1])"
    }

    /// What it comes to for frames of a size; asks ffmpeg for its encoders, and what they can store.
    /// - Parameter frameBits: of the frames that come in, 8 or 16.
    /// - Throws: `VideoError.unsupportedTarget` where an encoder is missing or cannot store that, `toolMissing`.
    func settled(path: String, width: Int, height: Int, frameBits: Int) async throws -> SettledEncoding {
        try check(path: path)
        var named: Int?
        if let pixelFormat { named = try await Self.depth(of: pixelFormat, path: path) }
        if let named, let bits, named != bits {
            throw VideoError.unsupportedTarget(
                path,
                reason: "the pixel format \(pixelFormat ?? "") has \(named) bits and --bits says \(bits);"
                    + " leave one of them out")
        }
        let depth = named ?? bits ?? usualDepth(frameBits)
        let format = pixelFormat ?? usualFormat(depth, isOdd: width % 2 != 0 || height % 2 != 0)
        var installed: [String] = []
        for encoder in codec.encoders {
            guard let formats = try await Encoders.formats(of: encoder) else { continue }
            installed.append(encoder)
            guard formats.isEmpty || formats.contains(format) else { continue }
            return SettledEncoding(
                codec: codec, encoder: encoder, pixelFormat: format, bits: depth,
                quality: codec.qualities == nil ? nil : quality ?? codec.usualQuality, extraArguments: extraArguments)
        }
        throw VideoError.unsupportedTarget(
            path,
            reason: installed.isEmpty
                ? "this ffmpeg has no encoder for \(codec.title) (\(codec.encoders.joined(separator: ", ")));"
                    + " install one that has, or choose another --codec"
                : "\(Self.either(installed)) cannot store the pixel format \(format);"
                    + " choose another --pixel-format, --bits or --codec")
    }

    /// H.264 stays at what every player shows.
    private func usualDepth(_ frameBits: Int) -> Int {
        switch codec {
        case .h264, .raw: 8
        case .h265, .av1, .prores: 10
        case .ffv1, .png, .float32: frameBits
        }
    }

    private func usualFormat(_ depth: Int, isOdd: Bool) -> String {
        switch codec {
        case .h264, .h265, .av1, .raw:
            // Halved chroma cannot hold odd sizes, and no pixel is to be lost.
            return (fullChroma || isOdd ? "yuv444p" : "yuv420p") + (depth == 8 ? "" : "\(depth)le")
        case .prores: return fullChroma || isOdd ? "yuv444p10le" : "yuv422p10le"
        case .ffv1: return depth == 8 ? "bgr0" : "gbrp\(depth)le"
        case .png: return depth == 8 ? "rgb24" : "rgb48be"
        case .float32: return "gbrpf32le"
        }
    }

    private static func depth(of format: String, path: String) async throws -> Int {
        guard let depth = try await Encoders.depth(of: format) else {
            throw VideoError.unsupportedTarget(
                path, reason: "ffmpeg has no pixel format \"\(format)\"; `ffmpeg -pix_fmts` lists them")
        }
        return depth
    }
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
        return options.flatMap { ["-\($0.name):v:0", $0.value] } + extraArguments
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

/// What this ffmpeg can encode.
enum Encoders {
    /// The pixel formats that an encoder stores, none where it does not say; nil where there is no such encoder.
    static func formats(of encoder: String) async throws -> Set<String>? {
        let answer = try await FFmpeg.collect("ffmpeg", ["-hide_banner", "-h", "encoder=\(encoder)"], limit: 1 << 20)
        let text = String(decoding: answer.output, as: UTF8.self)
        guard text.hasPrefix("Encoder ") else { return nil }
        let line = text.split(separator: "\n").first { $0.contains("Supported pixel formats:") }
        return Set(line?.split(separator: ":").last?.split(separator: " ").map(String.init) ?? [])
    }

    /// Bits of a pixel format's components; nil where ffmpeg does not know it.
    static func depth(of format: String) async throws -> Int? {
        let arguments = ["-v", "error", "-of", "json", "-show_pixel_formats"]
        let answer = try await FFmpeg.collect("ffprobe", arguments, limit: 16 << 20)
        struct Report: Decodable {
            var pixel_formats: [Probe.PixelFormat]
        }
        let report = try? JSONDecoder().decode(Report.self, from: Data(answer.output))
        return report?.pixel_formats.first { $0.name == format }?.components?.map(\.bit_depth).max()
    }
}
