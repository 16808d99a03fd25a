import Foundation

/// Asks ffprobe what a file holds.
enum Probe {
    /// Costs one ffprobe (about 0.1 s), and another for what HDR files say in their first frame.
    static func video(_ path: String, isPicture: Bool = false) async throws -> (info: VideoInfo, stream: Int) {
        var arguments = ["-v", "error", "-of", "json", "-show_streams", "-show_format", "-show_chapters"]
        arguments.append("-show_pixel_formats")
        if isPicture { arguments += Pictures.asOneFile(path) }
        arguments += ["-i", FFmpeg.url(path)]
        let (output, messages, succeeded) = try await FFmpeg.collect("ffprobe", arguments, limit: 16 << 20)
        let report = try? JSONDecoder().decode(Report.self, from: Data(output))
        guard succeeded, let report, let streams = report.streams, let format = report.format,
            // ffmpeg shows any text file as a film of an ANSI terminal.
            format.format_name != "tty"
        else {
            throw VideoError.notAVideo(path, details: messages)
        }
        guard let video = film(among: streams) else {
            let hasMedia = streams.contains { $0.codec_type == "audio" || $0.codec_type == "video" }
            throw hasMedia ? VideoError.noVideoStream(path) : VideoError.notAVideo(path, details: messages)
        }
        guard let width = video.width, let height = video.height,
            VideoFrame.componentCount(width: width, height: height) != nil,
            let name = video.pix_fmt,
            let pixelFormat = report.pixel_formats?.first(where: { $0.name == name })
        else {
            throw VideoError.notAVideo(path, details: messages)
        }
        let onItsSide = video.isOnItsSide
        var info = VideoInfo(
            width: onItsSide ? height : width,
            height: onItsSide ? width : height,
            frameRate: video.frameRate ?? .fps25,
            frameCount: video.nb_frames.flatMap { Int($0) },
            codec: video.codec_name ?? "unknown",
            bitDepth: pixelFormat.components?.map(\.bit_depth).max() ?? 8,
            pixelFormat: name,
            isRGB: pixelFormat.flags?.rgb == 1 || pixelFormat.flags?.palette == 1,
            colour: ColourTags(
                range: known(video.color_range), matrix: known(video.color_space),
                primaries: known(video.color_primaries), transfer: known(video.color_transfer)),
            hasAudio: streams.contains { $0.codec_type == "audio" },
            hasSubtitles: streams.contains { $0.codec_type == "subtitle" },
            duration: (video.duration ?? format.duration).flatMap { Double($0) },
            startDelay: max(0, (Double(video.start_time ?? "") ?? 0) - (Double(format.start_time ?? "") ?? 0)))
        info.sampleAspectRatio = aspect(video.sample_aspect_ratio, turned: onItsSide)
        info.fieldOrder = known(video.field_order)
        // Four components of a JPEG are inks.
        let mayBe = pixelFormat.flags?.palette != 1 && video.codec_name != "mjpeg"
        info.hasTransparency = pixelFormat.flags?.alpha == 1 && mayBe || video.tag("alpha_mode") == "1"
        info.rateIsKnown = !bareStreams.contains(format.format_name ?? "")
        info.container = format.format_name ?? ""
        info.streams = streams.filter { $0.index != video.index }.map(\.described)
        info.chapterCount = report.chapters?.count ?? 0
        info.metadata = format.tags ?? [:]
        info.pictureMetadata = ["title", "language"].reduce(into: [:]) { $0[$1] = video.tag($1) }
        info.timecode = video.tag("timecode") ?? format.tags?["timecode"]
        info.timecode = info.timecode ?? streams.lazy.compactMap { $0.tag("timecode") }.first
        if info.isHDR { try await addHDR(to: &info, path: path, stream: video.index) }
        return (info, video.index)
    }

    /// The stream that moves. Covers and other still pictures stand in front of many a film.
    private static func film(among streams: [Report.Stream]) -> Report.Stream? {
        let pictures = streams.filter { $0.codec_type == "video" && $0.disposition?["attached_pic"] != 1 }
        let stills: Set = ["mjpeg", "png", "bmp", "gif", "tiff", "webp"]
        let moving = pictures.filter { !stills.contains($0.codec_name ?? "") }
        let candidates = moving.isEmpty ? pictures : moving
        return candidates.first { $0.disposition?["default"] == 1 } ?? candidates.first
    }

    /// What carries no times of its own is given 25 frames a second by ffmpeg.
    private static let bareStreams: Set = ["h264", "hevc", "mjpeg", "mpegvideo", "m4v", "h263", "h261", "vc1", "obu"]

    /// "64:45" from ffprobe's text; nil where pixels are square or nobody says.
    private static func aspect(_ text: String?, turned: Bool) -> String? {
        let parts = (text ?? "").split(separator: ":").compactMap { Int($0) }
        guard parts.count == 2, parts[0] > 0, parts[1] > 0, parts[0] != parts[1] else { return nil }
        return turned ? "\(parts[1]):\(parts[0])" : "\(parts[0]):\(parts[1])"
    }

    /// What only the first frame tells.
    private static func addHDR(to info: inout VideoInfo, path: String, stream: Int) async throws {
        let arguments =
            ["-v", "error", "-of", "json", "-read_intervals", "%+#1", "-select_streams", "\(stream)", "-show_frames"]
            + ["-show_entries", "frame=side_data_list", "-i", FFmpeg.url(path)]
        let answer = try await FFmpeg.collect("ffprobe", arguments, limit: 1 << 20)
        let report = try? JSONDecoder().decode(FirstFrame.self, from: Data(answer.output))
        for side in report?.frames?.first?.side_data_list ?? [] {
            let kind = side.side_data_type ?? ""
            if kind.hasPrefix("Mastering display") {
                let texts = [
                    side.red_x, side.red_y, side.green_x, side.green_y, side.blue_x, side.blue_y, side.white_point_x,
                    side.white_point_y, side.min_luminance, side.max_luminance,
                ]
                let values = texts.compactMap { $0.flatMap { number($0) } }
                info.mastering = info.mastering ?? MasteringData()
                if values.count == 10 { info.mastering?.display = values }
            } else if kind.hasPrefix("Content light level") {
                info.mastering = info.mastering ?? MasteringData()
                info.mastering?.maximumContent = side.max_content
                info.mastering?.maximumAverage = side.max_average
            } else if kind.contains("2094-40") {
                info.dynamicMetadata.append("HDR10+")
            } else if kind.contains("Dolby Vision") {
                info.dynamicMetadata.append("Dolby Vision")
            }
        }
        var seen: Set<String> = []
        info.dynamicMetadata = info.dynamicMetadata.filter { seen.insert($0).inserted }
    }

    /// "34000/50000".
    private static func number(_ text: String) -> Double? {
        let parts = text.split(separator: "/").compactMap { Double($0) }
        guard parts.count == 2, parts[1] != 0 else { return nil }
        return parts[0] / parts[1]
    }

    private struct FirstFrame: Decodable {
        var frames: [Frame]?
        struct Frame: Decodable {
            var side_data_list: [Side]?
        }
        struct Side: Decodable {
            var side_data_type: String?
            var red_x, red_y, green_x, green_y, blue_x, blue_y, white_point_x, white_point_y: String?
            var min_luminance, max_luminance: String?
            var max_content, max_average: Int?
        }
    }

    struct PixelFormat: Decodable {
        var name: String
        var flags: Flags?
        var components: [Component]?

        struct Flags: Decodable {
            var rgb: Int?
            var palette: Int?
            var alpha: Int?
        }
        struct Component: Decodable {
            var bit_depth: Int
        }
    }

    private static func known(_ tag: String?) -> String? {
        guard let tag, tag != "unknown", tag != "unspecified", tag != "reserved" else { return nil }
        return tag
    }
}

// ffprobe's JSON, under its own names.
private struct Report: Decodable {
    var streams: [Stream]?
    var format: Format?
    var pixel_formats: [Probe.PixelFormat]?
    var chapters: [Chapter]?

    struct Chapter: Decodable {}

    struct Format: Decodable {
        var format_name: String?
        var duration: String?
        var start_time: String?
        var tags: [String: String]?
    }

    struct Stream: Decodable {
        var index: Int
        var codec_type: String?
        var codec_name: String?
        var codec_tag_string: String?
        var width: Int?
        var height: Int?
        var pix_fmt: String?
        var r_frame_rate: String?
        var avg_frame_rate: String?
        var nb_frames: String?
        var duration: String?
        var start_time: String?
        var color_range: String?
        var color_space: String?
        var color_primaries: String?
        var color_transfer: String?
        var sample_aspect_ratio: String?
        var field_order: String?
        var channels: Int?
        var tags: [String: String]?
        var disposition: [String: Int]?
        var side_data_list: [SideData]?

        struct SideData: Decodable {
            var rotation: Double?
        }

        /// Matroska writes names of tags in capitals.
        func tag(_ name: String) -> String? { tags?[name] ?? tags?[name.uppercased()] }

        /// What people write where programs write their own names.
        private var namedHandler: String? {
            guard let name = tags?["handler_name"], !name.isEmpty else { return nil }
            let programs = [
                "handler", "media", "gpac", "smash", "apple", "mainconcept", "google", "iso ", "stereo", "mono",
            ]
            return programs.contains { name.lowercased().contains($0) } ? nil : name
        }

        var described: MediaStream {
            let isCover = codec_type == "video" && disposition?["attached_pic"] == 1
            return MediaStream(
                index: index, kind: isCover ? .cover : MediaStream.Kind(rawValue: codec_type ?? "") ?? .data,
                codec: codec_name ?? codec_tag_string ?? "unknown",
                // 'und' says as much as nothing.
                language: tag("language") == "und" ? nil : tag("language"),
                title: tag("title") ?? tag("name") ?? namedHandler,
                flags: (disposition ?? [:]).filter { $0.value == 1 && $0.key != "attached_pic" }.keys.sorted(),
                channels: channels)
        }

        /// Turned by a quarter or three quarters when shown.
        var isOnItsSide: Bool {
            let rotation = side_data_list?.compactMap(\.rotation).first ?? 0
            return abs(rotation.truncatingRemainder(dividingBy: 180)).rounded() == 90
        }

        /// The average rate; but timestamps in milliseconds blur it, so the nominal one if that is within 0.5 %.
        var frameRate: FrameRate? {
            let nominal = FrameRate(r_frame_rate ?? "")
            guard let average = FrameRate(avg_frame_rate ?? "") else { return nominal }
            guard let nominal else { return average }
            let isClose = abs(nominal.perSecond / average.perSecond - 1) < 0.005
            return isClose ? nominal : average
        }
    }
}
