import Foundation

/// What of a video its restored copy keeps: the times of its frames, how they are shown, and all that is not picture.
/// It is made before the work, so that what cannot be kept is named before.
///
///     let plan = try OutputPlan(for: reader, to: "restored.mp4")
///     for sentence in plan.notes { print(sentence) }
public struct OutputPlan: Sendable, Equatable {
    /// What can be left out on purpose.
    public enum Part: String, Sendable, Codable, CaseIterable {
        case audio, subtitles, chapters, metadata, attachments, timecode
    }

    public enum Treatment: Sendable, Equatable {
        case copied
        /// By one of ffmpeg's encoders.
        case converted(encoder: String)
        /// Why, as a part of a sentence; nil where it was asked for.
        case leftOut(String?)
    }

    public struct Item: Sendable, Equatable {
        public let stream: MediaStream
        public let treatment: Treatment
    }

    /// The streams beside the picture, in the file's order.
    public private(set) var items: [Item]
    /// What a person should know before the work begins, a sentence each.
    public let notes: [String]

    let source: String
    let container: Container
    private(set) var keepsChapters: Bool
    private(set) var keepsMetadata: Bool
    private(set) var pictureMetadata: [String: String]
    /// Names of the source's tags that must not be in the output.
    let staleMetadata: [String]
    private(set) var timecode: String?
    let aspect: String?
    let mastering: MasteringData?
    /// Nil for frames of one rate.
    private(set) var times: FrameTimes?
    /// Seconds from the first of all streams to the picture.
    private(set) var startDelay: Double
    /// The picture's stream in the source, where the source is one in which ffmpeg counts time from the streams that are read.
    private let clockStream: Int?

    /// - Parameters:
    ///   - reader: opened with its frames counted, or times that vary are not known.
    ///   - path: the output's.
    ///   - frames: a part of the video, which has no sound: it would not fit. All when nil.
    ///   - leaving: what is left out on purpose.
    /// - Throws: `VideoError.unsupportedTarget`.
    public init(
        for reader: VideoReader, to path: String, frames: Range<Int>? = nil, leaving out: Set<Part> = []
    ) throws(VideoError) {
        let info = reader.info
        let container = try Container(path: path)
        let isPart = frames.map { $0 != 0..<(info.frameCount ?? .max) } ?? false
        (source, self.container) = (reader.path, container)
        items = info.streams.map { stream in
            let reason = isPart && stream.isTimed ? "only a part of the frames is restored" : nil
            return Item(
                stream: stream,
                treatment: Self.treatment(of: stream, in: container, leaving: out, isPart: reason, info: info))
        }
        let holdsAll = !container.isFramesAlone && !isPart
        keepsChapters = holdsAll && info.chapterCount > 0 && !out.contains(.chapters)
        keepsMetadata = !container.isFramesAlone && reader.isOfFile && !out.contains(.metadata)
        pictureMetadata = keepsMetadata ? info.pictureMetadata : [:]
        staleMetadata = info.metadata.keys.filter { Self.stale.contains($0.lowercased()) }.sorted()
        timecode = container.isFramesAlone || isPart || out.contains(.timecode) ? nil : info.timecode
        aspect = container.isFramesAlone && container != .y4m ? nil : info.sampleAspectRatio
        mastering = info.mastering
        let whole = reader.times
        times = container.isFramesAlone ? nil : frames.flatMap { whole?.part($0) } ?? (isPart ? nil : whole)
        startDelay = isPart || container.isFramesAlone ? 0 : info.startDelay
        if case .file(let stream) = reader.source, ["mpegts", "mpeg"].contains(info.container) {
            clockStream = stream
        } else {
            clockStream = nil
        }

        var notes = Self.notes(items, container)
        func lost(_ what: String, _ reason: String) { notes.append("Left out: \(what); \(reason).") }
        if info.chapterCount > 0, !keepsChapters, !out.contains(.chapters) {
            lost(
                "\(info.chapterCount) chapters",
                isPart ? "only a part of the frames is restored" : "pictures have none")
        }
        if info.timecode != nil, timecode == nil, !out.contains(.timecode) {
            lost("the timecode", isPart ? "only a part of the frames is restored" : "pictures have none")
        }
        if keepsMetadata, container != .mkv {
            let unknown = info.metadata.keys.filter { !Self.stale.contains($0.lowercased()) }
                .filter { !Self.quickTimeKeys.contains($0.lowercased()) }.sorted()
            if !unknown.isEmpty {
                lost("the tags \(unknown.joined(separator: ", "))", "\(container.words) has no place for them")
            }
        }
        if container.isFramesAlone, container != .y4m, let aspect = info.sampleAspectRatio {
            lost(
                "that a pixel is \(aspect.replacing(":", with: "/")) times as wide as high",
                "\(container.words) has no place for it, and shows wider or narrower than it should")
        }
        if container.isFramesAlone, whole != nil {
            lost("the times of the frames, which vary", "pictures have none")
        }
        if info.hasTransparency { lost("the transparency", "only the colours are restored") }
        for kind in info.dynamicMetadata { lost("\(kind) data, which change from scene to scene", "they are not read") }
        if !info.rateIsKnown, !container.isFramesAlone {
            notes.append("The file says no rate; \(info.frameRate) frames a second is a guess.")
        }
        self.notes = notes
    }

    /// The picture of some frames alone, to be joined with others.
    /// - Parameter times: of those frames.
    func picture(times: FrameTimes?) -> OutputPlan {
        var copy = self
        (copy.items, copy.keepsChapters, copy.keepsMetadata) = ([], false, false)
        (copy.pictureMetadata, copy.timecode, copy.times, copy.startDelay) = ([:], nil, times, 0)
        return copy
    }

    // MARK: Streams

    private static func treatment(
        of stream: MediaStream, in container: Container, leaving out: Set<Part>, isPart: String?, info: VideoInfo
    ) -> Treatment {
        if let part = stream.part, out.contains(part) { return .leftOut(nil) }
        if container.isFramesAlone { return .leftOut("\(container.words) holds nothing else") }
        if let isPart { return .leftOut(isPart) }
        switch stream.kind {
        case .audio: return sound(stream.codec, in: container)
        case .subtitle: return subtitles(stream.codec, in: container)
        case .attachment:
            return container == .mkv ? .copied : .leftOut("\(container.words) holds no attachments; a .mkv keeps them")
        case .cover:
            return ["mjpeg", "png"].contains(stream.codec)
                ? .copied : .leftOut("\(container.words) holds covers as JPEG or PNG only")
        case .video: return .leftOut("one picture track is restored")
        case .data:
            // Written anew from what they say.
            if stream.codec == "tmcd" || stream.codec == "bin_data" && info.chapterCount > 0 { return .leftOut(nil) }
            return .leftOut("only sound, subtitles and attachments are carried over")
        }
    }

    private static func sound(_ codec: String, in container: Container) -> Treatment {
        let lossless = ["flac", "alac", "wavpack", "tta", "truehd", "mlp", "ape", "shorten"]
        switch container {
        case .pictures, .npy, .safetensors, .y4m: return .leftOut(nil)
        case .mkv:
            let unknown: Set = ["pcm_bluray", "pcm_dvd", "pcm_s16be_planar", "pcm_s8_planar", "pcm_s16le_planar"]
            return unknown.contains(codec) ? .converted(encoder: "flac") : .copied
        case .mp4:
            let known: Set = ["aac", "mp3", "ac3", "eac3", "alac", "mp2", "dts", "opus", "flac"]
            if known.contains(codec) { return .copied }
            return .converted(encoder: lossless.contains(codec) ? "alac" : "aac")
        case .mov:
            let known: Set = [
                "aac", "alac", "mp3", "ac3", "eac3", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le",
                "pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_u8", "pcm_s8", "pcm_mulaw",
                "pcm_alaw", "adpcm_ima_qt", "qdm2", "mace3", "mace6",
            ]
            if known.contains(codec) { return .copied }
            return .converted(encoder: lossless.contains(codec) ? "alac" : "aac")
        }
    }

    private static func subtitles(_ codec: String, in container: Container) -> Treatment {
        let texts: Set = ["subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text", "subviewer", "microdvd", "sami"]
        switch container {
        case .pictures, .npy, .safetensors, .y4m: return .leftOut(nil)
        case .mkv:
            let known: Set = [
                "subrip", "srt", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "hdmv_text_subtitle", "dvd_subtitle",
                "dvb_subtitle",
            ]
            if known.contains(codec) { return .copied }
            return texts.contains(codec)
                ? .converted(encoder: "subrip") : .leftOut("a .mkv cannot hold them, nor can they be turned into text")
        case .mp4, .mov:
            if codec == "mov_text" { return .copied }
            return texts.contains(codec)
                ? .converted(encoder: "mov_text")
                : .leftOut("\(container.words) holds subtitles as text only; a .mkv keeps them")
        }
    }

    private static func notes(_ items: [Item], _ container: Container) -> [String] {
        items.compactMap { item in
            switch item.treatment {
            case .copied, .leftOut(nil): return nil
            case .leftOut(let reason?): return "Left out: \(item.stream.words); \(reason)."
            case .converted(let encoder):
                let name = ["aac": "AAC", "alac": "lossless ALAC", "flac": "lossless FLAC"][encoder] ?? "\(encoder)"
                // Subtitles stay text whatever their kind is called.
                let way = item.stream.kind == .audio && container != .mkv ? "; a .mkv keeps it" : ""
                let reason = "which \(container.words) does not hold as it is\(way)"
                return "Turned into \(name): \(item.stream.words), \(reason)."
            }
        }
    }

    // MARK: Metadata

    /// What describes the old file and not its content.
    private static let stale: Set<String> = [
        "major_brand", "minor_version", "compatible_brands", "encoder", "software", "handler_name", "vendor_id",
        "duration", "timecode", "_statistics_tags", "_statistics_writing_app", "_statistics_writing_date_utc",
        "number_of_bytes", "number_of_frames", "bps",
    ]

    /// What ffmpeg writes into .mp4 and .mov.
    private static let quickTimeKeys: Set<String> = [
        "title", "artist", "album_artist", "author", "composer", "album", "date", "comment", "genre", "copyright",
        "grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "episode_sort",
        "season_number", "media_type", "hd_video", "gapless_playback", "compilation", "track", "disc", "creation_time",
        "language", "tempo", "tool",
    ]

    // MARK: ffmpeg

    /// Covers that a .mkv takes as files.
    var coversToAttach: [MediaStream] {
        guard container == .mkv else { return [] }
        return items.filter { $0.treatment == .copied && $0.stream.kind == .cover }.map(\.stream)
    }

    var needsSource: Bool {
        keepsChapters || keepsMetadata || items.contains { if case .leftOut = $0.treatment { false } else { true } }
    }

    /// Whether a track is of a kind that ffmpeg writes there only if told that experiments are welcome, as before its version 6.
    var isExperimental: Bool {
        container == .mp4 && items.contains { $0.treatment == .copied && $0.stream.codec == "flac" }
    }

    /// An output that takes the source's picture and gives it nobody, so that other streams keep their distance to it.
    var clock: [String] {
        guard let clockStream, needsSource, !container.isFramesAlone else { return [] }
        return ["-map", "1:\(clockStream)", "-c", "copy", "-f", "null", "-"]
    }

    /// ffmpeg's options that map and describe all but the picture, which is stream 0 of input 0; the source is input 1.
    var arguments: [String] {
        guard !container.isFramesAlone else { return [] }
        var arguments: [String] = []
        var index = 1
        for item in items where !(item.stream.kind == .cover && container == .mkv) {
            let encoder: String
            switch item.treatment {
            case .leftOut: continue
            case .copied: encoder = "copy"
            case .converted(let name): encoder = name
            }
            arguments += ["-map", "1:\(item.stream.index)", "-c:\(index)", encoder]
            if encoder == "aac" {
                arguments += ["-b:\(index)", "\(160 * max(1, ((item.stream.channels ?? 2) + 1) / 2))k"]
            }
            if item.stream.kind == .cover {
                arguments += ["-disposition:\(index)", "attached_pic"]
            } else if item.stream.kind != .attachment {
                let flags = item.stream.flags
                arguments += ["-disposition:\(index)", flags.isEmpty ? "0" : flags.joined(separator: "+")]
                if !keepsMetadata { arguments += ["-map_metadata:s:\(index)", "-1"] }
                // Without it the container writes a language of its own.
                if keepsMetadata, let title = item.stream.title {
                    // Players show a track of a .mp4 by its handler's name.
                    arguments += ["-metadata:s:\(index)", "\(container == .mkv ? "title" : "handler_name")=\(title)"]
                }
                if let language = item.stream.language {
                    arguments += ["-metadata:s:\(index)", "language=\(language)"]
                }
            }
            index += 1
        }
        arguments += ["-map_chapters", keepsChapters ? "1" : "-1", "-map_metadata", keepsMetadata ? "1" : "-1"]
        if keepsMetadata { for name in staleMetadata { arguments += ["-metadata", "\(name)="] } }
        for (name, value) in pictureMetadata.sorted(by: { $0.key < $1.key }) {
            arguments += ["-metadata:s:v:0", "\(name)=\(value)"]
        }
        if let timecode {
            arguments += container == .mkv ? ["-metadata", "timecode=\(timecode)"] : []
            arguments += ["-metadata:s:v:0", "timecode=\(timecode)"]
        }
        arguments += ["-disposition:v:0", "default"]
        return arguments
    }
}

extension MediaStream {
    /// What it is left out with.
    fileprivate var part: OutputPlan.Part? {
        switch kind {
        case .audio: .audio
        case .subtitle: .subtitles
        case .attachment, .cover: .attachments
        case .video: nil
        case .data: codec == "tmcd" ? .timecode : nil
        }
    }

    /// Whether a part of the frames would need a part of it.
    fileprivate var isTimed: Bool { kind != .attachment && kind != .cover }
}
