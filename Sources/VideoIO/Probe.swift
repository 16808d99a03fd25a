import Foundation

/// Asks ffprobe what a file holds.
enum Probe {
    /// Costs one ffprobe (about 0.1 s); with `countFrames` it also reads the whole file, without decoding it.
    static func video(
        _ path: String, countFrames: Bool = false, isPicture: Bool = false
    ) async throws -> (info: VideoInfo, stream: Int) {
        var arguments = ["-v", "error", "-of", "json", "-show_streams", "-show_format", "-show_pixel_formats"]
        if countFrames { arguments.append("-count_packets") }
        if isPicture { arguments += Pictures.asOneFile }
        arguments += ["-i", FFmpeg.url(path)]
        let (output, messages, succeeded) = try await FFmpeg.collect("ffprobe", arguments, limit: 16 << 20)
        let report = try? JSONDecoder().decode(Report.self, from: Data(output))
        guard succeeded, let report, let streams = report.streams, let format = report.format,
            // ffmpeg shows any text file as a film of an ANSI terminal.
            format.format_name != "tty"
        else {
            throw VideoError.notAVideo(path, details: messages)
        }
        guard let video = streams.first(where: { $0.codec_type == "video" && $0.disposition?.attached_pic != 1 })
        else {
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
        let info = VideoInfo(
            width: onItsSide ? height : width,
            height: onItsSide ? width : height,
            frameRate: video.frameRate ?? .fps25,
            frameCount: (video.nb_read_packets ?? video.nb_frames).flatMap { Int($0) },
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
        return (info, video.index)
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
    var pixel_formats: [PixelFormat]?

    struct Format: Decodable {
        var format_name: String?
        var duration: String?
        var start_time: String?
    }

    struct PixelFormat: Decodable {
        var name: String
        var flags: Flags?
        var components: [Component]?

        struct Flags: Decodable {
            var rgb: Int?
            var palette: Int?
        }
        struct Component: Decodable {
            var bit_depth: Int
        }
    }

    struct Stream: Decodable {
        var index: Int
        var codec_type: String?
        var codec_name: String?
        var width: Int?
        var height: Int?
        var pix_fmt: String?
        var r_frame_rate: String?
        var avg_frame_rate: String?
        var nb_frames: String?
        var nb_read_packets: String?
        var duration: String?
        var start_time: String?
        var color_range: String?
        var color_space: String?
        var color_primaries: String?
        var color_transfer: String?
        var disposition: Disposition?
        var side_data_list: [SideData]?

        struct Disposition: Decodable {
            var attached_pic: Int?
        }
        struct SideData: Decodable {
            var rotation: Double?
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
