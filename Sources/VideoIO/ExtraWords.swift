/// A person's words for ffmpeg, of a video that is encoded in segments and then joined. Both commands get them, but for what only one of
/// the two can do.
struct ExtraWords {
    let all: [String]

    init(_ all: [String]) { self.all = all }

    /// Those of the encoders: segments have no source beside them to take anything from. A filter of what was encoded would act twice, and
    /// sees all of it where segments are joined.
    var ofSegments: [String] {
        without { name, _ in ["map", "map_metadata", "map_chapters", "bsf", "vbsf", "absf"].contains(name) }
    }

    /// Those of the command that joins: of the container and of all other tracks, for the picture is not encoded there.
    var ofJoining: [String] {
        without { name, streams in
            if ["metadata", "disposition", "tag", "bsf"].contains(name) { return false }
            let encodesAll = ["filter", "filter_script", "profile", "level", "c", "codec"].contains(name)
            return ["vf", "vcodec"].contains(name) || streams.map(Self.isPicture) ?? encodesAll
        }
    }

    /// The first that cuts a video, and so would cut each of its segments: "-t".
    var cutting: String? {
        all.first { word in
            guard let (name, streams) = Self.option(word) else { return false }
            return ["ss", "t", "to", "fs", "vframes"].contains(name)
                || name == "frames" && streams.map(Self.isPicture) ?? true
        }
    }

    /// Of what stands behind an option's colon.
    private static func isPicture(_ streams: Substring) -> Bool {
        streams.hasPrefix("v") || streams.hasPrefix("V") || streams == "0"
    }

    /// An option's name, and what stands behind its colon; nil for any other word.
    private static func option(_ word: String) -> (name: Substring, streams: Substring?)? {
        let parts = word.dropFirst().split(separator: ":", maxSplits: 1)
        // A negative number is a value: "-1:v:1".
        guard word.hasPrefix("-"), let name = parts.first, name.first?.isNumber == false else { return nil }
        return (name, parts.count > 1 ? parts[1] : nil)
    }

    /// - Parameter isLeftOut: of an option's name, and what stands behind its colon; its value goes with it.
    private func without(_ isLeftOut: (Substring, Substring?) -> Bool) -> [String] {
        var (rest, kept) = (all[...], [String]())
        while let word = rest.popFirst() {
            if let (name, streams) = Self.option(word), isLeftOut(name, streams) {
                rest = rest.dropFirst()
            } else {
                kept.append(word)
            }
        }
        return kept
    }
}
