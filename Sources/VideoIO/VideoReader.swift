import Foundation

/// Reads the frames of a video file, of a folder of PNG or JPEG pictures, of a single picture, or of a .npy or
/// .safetensors with numbers (N, 3, H, W) in [-1, 1].
///
///     let reader = try await VideoReader("clip.mp4")
///     for try await frame in reader.frames(0..<25) { ... }
///
/// Frames come as full-range RGB: 8 bits per component where the file stores 8-bit RGB and from JPEG pictures, else
/// 16 bits, so that nothing is lost by the conversion from YUV. The YUV matrix and range are those the file is tagged
/// with; without tags, bt709 for 720 rows or more and bt601 below, and limited ("tv") range. Primaries and transfer are
/// not converted, only reported in `info`. Transparency is dropped. Every frame that is to be seen comes exactly once;
/// when it is shown is in `times` where the rate varies.
public struct VideoReader: Sendable {
    public let path: String
    public private(set) var info: VideoInfo
    /// When each frame is shown, where the rate varies; nil for one rate, and where frames were not counted.
    public let times: FrameTimes?
    /// Whether a file that breaks off gives what there is of it, and no error.
    public var acceptsIncomplete = false
    /// Why the file is not whole, where counting its frames showed that; nil for a whole one.
    public let breakOff: VideoError?
    let source: Source
    /// Whether frames show how opaque each pixel is, in grey, and not its colour.
    private(set) var showsOpacity = false
    /// The part of each frame that is seen; nil for all of it.
    private(set) var crop: Crop?
    /// The size of what the decoder gives, before it is cropped; nil without a crop.
    package private(set) var whole: (width: Int, height: Int)?
    /// Of every frame, in the file's own clock; nil where they are not known.
    private(set) var ticks: [Int]?

    enum Source: Sendable {
        /// A media file and the index of its video stream.
        case file(stream: Int)
        /// Paths of pictures, in order.
        case pictures([String])
        /// Numbers.
        case array(FrameArray)
    }

    init(path: String, info: VideoInfo, times: FrameTimes?, source: Source) {
        self.init(path: path, info: info, times: times, source: source, ticks: times?.ticks, breakOff: nil)
    }

    private init(
        path: String, info: VideoInfo, times: FrameTimes?, source: Source, ticks: [Int]?, breakOff: VideoError?
    ) {
        (self.path, self.info, self.times, self.source) = (path, info, times, source)
        (self.ticks, self.breakOff) = (ticks, breakOff)
    }

    /// Opens a video, a folder or a picture.
    ///
    /// - Parameters:
    ///   - pictureRate: the rate given to pictures, which have none of their own.
    ///   - countFrames: reads the file once through (without decoding), for the number of its frames and their times.
    /// - Throws: `VideoError`: `fileMissing`, `noPictures`, `notAVideo`, `noVideoStream`, `unsupportedColour`,
    ///   `toolMissing`.
    ///
    /// Costs about 0.1 s.
    public init(_ path: String, pictureRate: FrameRate = .fps25, countFrames: Bool = false) async throws {
        self.path = path
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw VideoError.fileMissing(path)
        }
        if !isFolder.boolValue, FrameArray.Kind(path: path) != nil {
            let array = try FrameArray(path)
            info = VideoInfo(
                width: array.width, height: array.height, frameRate: pictureRate, frameCount: array.count,
                codec: "rawvideo", bitDepth: 32, pixelFormat: "gbrpf32le", isRGB: true,
                duration: Double(array.count) / pictureRate.perSecond)
            (times, ticks, breakOff) = (nil, nil, nil)
            source = .array(array)
        } else if isFolder.boolValue || FileNames.isPicture(path) {
            let pictures = isFolder.boolValue ? try Pictures.list(folder: path) : [path]
            guard let first = pictures.first else { throw VideoError.noPictures(folder: path) }
            var info = try await Probe.video(first, isPicture: true).info
            // A photograph may ask to be turned, which only decoding it shows.
            let upright = try await Pictures.decode(first)
            (info.width, info.height) = (upright.width, upright.height)
            info.frameRate = pictureRate
            info.frameCount = pictures.count
            info.duration = Double(pictures.count) / pictureRate.perSecond
            self.info = info
            (times, ticks, breakOff) = (nil, nil, nil)
            source = .pictures(pictures)
        } else {
            var (info, stream) = try await Probe.video(path)
            var (found, all) = (FrameTimes?.none, FrameTimes?.none)
            var breakOff: VideoError?
            if countFrames {
                let packets = try await FrameTimes.read(path, stream: stream)
                all = packets.times
                if VideoDecoder.breaksOff(packets.messages) {
                    let promised =
                        info.frameCount ?? info.duration.map { Int(($0 * info.frameRate.perSecond).rounded()) }
                    breakOff = .truncated(
                        path, decoded: packets.frames, expected: promised.flatMap { $0 > packets.frames ? $0 : nil },
                        details: packets.messages)
                }
                // An edit list may hide frames that the file counts.
                if packets.frames > 0 { info.frameCount = packets.frames }
                if let all, info.rateIsKnown, !all.areRegular(at: info.frameRate) { found = all }
            }
            times = found
            self.breakOff = breakOff
            // Packets of VP8 need not show anything.
            ticks = info.codec == "vp8" ? nil : all?.ticks
            guard info.isRGB || info.decodingMatrix != nil else {
                throw VideoError.unsupportedColour(path, matrix: info.colour.matrix ?? "unknown")
            }
            self.info = info
            source = .file(stream: stream)
        }
    }

    /// The same with as many frames as were counted by decoding them.
    public func counting(_ frames: Int) -> VideoReader {
        var copy = self
        copy.info.frameCount = frames
        copy.ticks = ticks.flatMap { $0.count >= frames ? $0 : nil }
        return copy
    }

    /// The same video, of which only a part of each frame is seen.
    /// - Throws: `VideoError.outside` for a part that does not lie in the frames.
    public func cropped(to part: Crop) throws(VideoError) -> VideoReader {
        guard crop == nil, part.x <= info.width - part.width, part.y <= info.height - part.height else {
            throw .outside(path, part: "\(part)", size: "\(info.width)x\(info.height)")
        }
        var copy = self
        (copy.crop, copy.whole) = (part, (info.width, info.height))
        (copy.info.width, copy.info.height) = (part.width, part.height)
        return copy
    }

    /// Another video whose frames are as large as these before they were cropped, cropped in the same way; any other one
    /// as it is.
    public func croppedAlike(_ other: VideoReader) throws(VideoError) -> VideoReader {
        guard let crop, let whole, other.info.width == whole.width, other.info.height == whole.height else {
            return other
        }
        return try other.cropped(to: crop)
    }

    /// What is known of the frames before they are cropped.
    var decodedInfo: VideoInfo {
        var info = info
        if let whole { (info.width, info.height) = whole }
        return info
    }

    /// The same video, of which each frame shows in grey how opaque its pixels are, from black for not at all; nil for
    /// a video without transparency.
    public var opacity: VideoReader? {
        guard info.hasTransparency, !showsOpacity else { return nil }
        var copy = self
        copy.showsOpacity = true
        copy.info.isRGB = true
        return copy
    }

    /// Whether it is a media file, which can hold more than frames.
    var isOfFile: Bool { if case .file = source { true } else { false } }

    /// What is known of a video without decoding it; see `init`.
    public static func probe(
        _ path: String, pictureRate: FrameRate = .fps25, countFrames: Bool = false
    ) async throws -> VideoInfo {
        try await VideoReader(path, pictureRate: pictureRate, countFrames: countFrames).info
    }

    /// The pictures of a folder in their order; nil where a path is no folder that pictures lie in.
    package static func pictures(in path: String) -> [String]? {
        (try? Pictures.list(folder: path)).flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Whether as many frames come as were counted. Packets of VP8 need not show anything, and what a file that breaks off has of its last
    /// frame need not.
    package var countIsCertain: Bool { info.codec != "vp8" && breakOff == nil }

    /// Whether packets may be counted that give no frame, and without a complaint: the first ones of a recording that was cut, which refer to
    /// frames before them.
    package var mayHideFrames: Bool {
        ["mpeg1video", "mpeg2video", "h264", "hevc", "vc1"].contains(info.codec)
    }

    /// The frames, or those of a range counted from 0. Nothing starts before the first one is asked for.
    ///
    /// A range is exact to the frame, decodes from the start of the file, and stops after its last frame.
    /// Of a damaged file it is the same part of what the whole gives; where frames are lost before it, the file is
    /// decoded twice up to there.
    /// Iterating throws `VideoError` (`frameRangeOutside`, `truncated`, `notAVideo`, `mixedPictureSizes`,
    /// `ffmpegFailed`) or `CancellationError`.
    public func frames(_ range: Range<Int>? = nil) -> FrameSequence {
        FrameSequence(reader: self, range: range)
    }
}
