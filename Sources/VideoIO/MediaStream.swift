/// A stream beside the picture that is restored: sound, subtitles, a cover, a font, a timecode.
public struct MediaStream: Sendable, Equatable, Codable {
    public enum Kind: String, Sendable, Codable {
        case video, audio, subtitle, attachment, data
        /// A picture that stands for the film.
        case cover
    }

    /// In the file, from 0.
    public var index: Int
    public var kind: Kind
    /// ffmpeg's name of the coding, "aac"; its four letters where ffmpeg knows no name, "tmcd".
    public var codec: String
    /// As the file writes it, "eng"; nil where it says nothing.
    public var language: String?
    public var title: String?
    /// ffmpeg's names of the flags that are set: "default", "forced", "comment".
    public var flags: [String]
    /// Of sound.
    public var channels: Int?

    public init(
        index: Int, kind: Kind, codec: String, language: String? = nil, title: String? = nil, flags: [String] = [],
        channels: Int? = nil
    ) {
        (self.index, self.kind, self.codec) = (index, kind, codec)
        (self.language, self.title, self.flags, self.channels) = (language, title, flags, channels)
    }

    /// "sound (aac, jpn, \"Commentary\")".
    public var words: String {
        let name =
            switch kind {
            case .video: "another picture track"
            case .audio: "sound"
            case .subtitle: "subtitles"
            case .attachment: "an attachment"
            case .data: "data"
            case .cover: "the cover"
            }
        let details = [codec, language, title.map { "\"\($0)\"" }].compactMap(\.self)
        return "\(name) (\(details.joined(separator: ", ")))"
    }
}

/// How a film was mastered: what HDR10 files say of the display and of the brightest pixels.
public struct MasteringData: Sendable, Equatable, Codable {
    /// x and y in CIE 1931 of red, green, blue and white; then the least and the most luminance, in cd/m2. Ten numbers.
    public var display: [Double]?
    /// cd/m2.
    public var maximumContent: Int?
    public var maximumAverage: Int?

    /// As x264 and x265 write it.
    func parameters(display name: String, _ light: String) -> String {
        var parts: [String] = []
        if let display, display.count == 10 {
            let c = display[..<8].map { Int(($0 * 50000).rounded()) }
            let (least, most) = (Int((display[8] * 10000).rounded()), Int((display[9] * 10000).rounded()))
            parts.append(
                "\(name)=G(\(c[2]),\(c[3]))B(\(c[4]),\(c[5]))R(\(c[0]),\(c[1]))WP(\(c[6]),\(c[7]))L(\(most),\(least))")
        }
        if let maximumContent { parts.append("\(light)=\(maximumContent),\(maximumAverage ?? 0)") }
        return parts.joined(separator: ":")
    }
}
