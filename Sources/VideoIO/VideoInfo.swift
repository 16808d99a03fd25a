/// What is known of a video before its first frame is decoded.
public struct VideoInfo: Sendable, Equatable, Codable {
    /// Columns of a decoded frame, after the rotation that the file asks players for.
    public var width: Int
    /// Rows of a decoded frame, after rotation.
    public var height: Int
    /// Exact rate. A file whose rate varies is described by its average.
    public var frameRate: FrameRate
    /// Number of frames, where the file says so (mp4 does, mkv does not) or they were counted.
    public var frameCount: Int?
    /// ffmpeg's name of the coding, such as "h264".
    public var codec: String
    /// Bits per component as stored: 8, 10, 12, 16.
    public var bitDepth: Int
    /// ffmpeg's name of the stored pixel format, such as "yuv420p".
    public var pixelFormat: String
    /// True where the stored components are red, green and blue rather than luma and chroma.
    public var isRGB: Bool
    /// What the file says of its colour; nil where it says nothing.
    public var colour: ColourTags
    public var hasAudio: Bool
    public var hasSubtitles: Bool
    /// Seconds, where known.
    public var duration: Double?
    /// Seconds by which the first picture comes after the first of the other streams (usually 0).
    public var startDelay: Double
    /// Width over height of a pixel after rotation, "64:45"; nil where it is square or nobody says.
    public var sampleAspectRatio: String?
    /// ffprobe's: "progressive", or "tt", "bb", "tb", "bt" for two fields woven into a frame; nil where nobody says.
    public var fieldOrder: String?
    public var hasTransparency = false
    /// Whether the file says a rate; without one 25 a second is a guess.
    public var rateIsKnown = true
    /// ffmpeg's names of the container, "mov,mp4,m4a,3gp,3g2,mj2".
    public var container = ""
    /// All but the picture.
    public var streams: [MediaStream] = []
    public var chapterCount = 0
    /// What the file says of itself: "title", "artist", "creation_time".
    public var metadata: [String: String] = [:]
    /// The picture track's "title" and "language".
    public var pictureMetadata: [String: String] = [:]
    /// Of the first frame, "01:00:00:00".
    public var timecode: String?
    public var mastering: MasteringData?
    /// What varies from frame to frame and is not read: "HDR10+", "Dolby Vision".
    public var dynamicMetadata: [String] = []

    public init(
        width: Int, height: Int, frameRate: FrameRate, frameCount: Int?, codec: String, bitDepth: Int,
        pixelFormat: String,
        isRGB: Bool, colour: ColourTags = ColourTags(), hasAudio: Bool = false, hasSubtitles: Bool = false,
        duration: Double? = nil, startDelay: Double = 0
    ) {
        self.width = width
        self.height = height
        self.frameRate = frameRate
        self.frameCount = frameCount
        self.codec = codec
        self.bitDepth = bitDepth
        self.pixelFormat = pixelFormat
        self.isRGB = isRGB
        self.colour = colour
        self.hasAudio = hasAudio
        self.hasSubtitles = hasSubtitles
        self.duration = duration
        self.startDelay = startDelay
    }
}

extension VideoInfo {
    /// Whether the coding gives back every bit it was handed; false too where that is not known.
    public var isLossless: Bool { Self.lossless.contains(codec) }

    private static let lossless: Set<String> = [
        "ffv1", "rawvideo", "wrapped_avframe", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "lagarith", "v210", "v308",
        "v408", "v410", "r10k",
        "r210", "y41p", "yuv4", "ayuv", "qtrle", "zlib", "png", "apng", "tiff", "bmp", "dpx", "exr", "pam", "ppm",
        "pgm", "pfm", "qoi", "targa",
        "sgi", "gif",
    ]
}

/// Colour tags in ffmpeg's spelling ("bt709", "tv", "smpte170m"); nil means untagged.
public struct ColourTags: Sendable, Equatable, Codable {
    /// "tv" (luma 16...235 of 255) or "pc" (0...255).
    public var range: String?
    /// The YUV matrix.
    public var matrix: String?
    public var primaries: String?
    public var transfer: String?

    public init(
        range: String? = nil, matrix: String? = nil, primaries: String? = nil, transfer: String? = nil
    ) {
        self.range = range
        self.matrix = matrix
        self.primaries = primaries
        self.transfer = transfer
    }

    /// PQ (HDR10) or HLG.
    public var isHDR: Bool { transfer == "smpte2084" || transfer == "arib-std-b67" }

    /// High-definition video: BT.709 throughout, limited range.
    public static let bt709 = ColourTags(range: "tv", matrix: "bt709", primaries: "bt709", transfer: "bt709")
}

extension VideoInfo {
    /// The matrix that frames are decoded with: the tagged one, else bt709 from 720 rows up and bt601 below
    /// (what players assume). Nil for a matrix that cannot be converted.
    var decodingMatrix: ColourConversion.Matrix? {
        switch colour.matrix {
        case nil: height >= 720 ? .bt709 : .bt601
        case "bt470bg", "smpte170m": .bt601
        case "bt2020nc": .bt2020
        case let name?: ColourConversion.Matrix(rawValue: name)
        }
    }

    /// Whether values stand for light as HDR codes it.
    public var isHDR: Bool { colour.isHDR }

    /// How a copy is to be tagged. Matrix and range of stored RGB say nothing of how YUV is to be stored.
    public var tagsForCopies: ColourTags {
        isRGB ? ColourTags(primaries: colour.primaries, transfer: colour.transfer) : colour
    }

    /// Whether each frame is two pictures woven together, as the file says.
    public var isInterlaced: Bool { fieldOrder.map { ["tt", "bb", "tb", "bt"].contains($0) } ?? false }

    /// "tv" unless the file says "pc".
    var decodingRange: String { colour.range == "pc" ? "pc" : "tv" }
}
