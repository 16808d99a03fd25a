/// The programs this room works with.
public enum VideoTools {
    /// The version ffmpeg says it has, for example `5.1.9-0+deb12u1`, after making sure that ffprobe is there too.
    /// - Throws: `VideoError.toolMissing`, or `ffmpegFailed` when one of them cannot be run.
    public static func version() async throws -> String {
        var version = ""
        for tool in ["ffprobe", "ffmpeg"] {
            let result = try await FFmpeg.collect(tool, ["-version"], limit: 1 << 16)
            guard result.succeeded else {
                throw VideoError.ffmpegFailed("asking \(tool) for its version", details: result.messages)
            }
            let words = String(decoding: result.output, as: UTF8.self).split(separator: " ", maxSplits: 3)
            version = words.count > 2 ? String(words[2]) : "unknown"
        }
        return version
    }
}
