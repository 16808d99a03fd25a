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

extension VideoEncoding {
    /// Refuses what the container cannot hold, and numbers out of range.
    func check(path: String) throws(VideoError) {
        // A folder of pictures may have any name but a film's.
        let container = codec == .png ? (try? Container(path: path)) ?? .pictures : try Container(path: path)
        guard codec.containers.contains(container) else {
            let names = codec.containers.map { $0 == .pictures ? "a folder" : ".\($0.rawValue)" }
            throw .unsupportedTarget(
                path,
                reason: "\(codec.title) goes into \(Self.either(names)); change the output's name, or the codec")
        }
        if let quality {
            guard let range = codec.qualities else {
                throw .unsupportedTarget(path, reason: "\(codec.title) has no constant rate factor (CRF); leave it out")
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
                    + " change the bits, or the codec")
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
                reason: "the pixel format \(pixelFormat ?? "") has \(named) bits and \(bits) are asked for;"
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
                    + " install one that has, or choose another codec"
                : "\(Self.either(installed)) cannot store the pixel format \(format);"
                    + " choose another pixel format, other bits or another codec")
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
