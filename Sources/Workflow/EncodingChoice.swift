import VideoIO

/// How the result is asked to be stored; what is nil is left to `Policy`.
public struct EncodingChoice: Sendable, Hashable, Codable {
    public var codec: VideoEncoding.Codec?
    /// The encoder's constant rate factor.
    public var crf: Int?
    /// ffmpeg's name, "yuv444p10le".
    public var pixelFormat: String?
    /// Words for ffmpeg in front of the output's name, as a shell would read them.
    public var ffmpeg: String?

    public init(codec: VideoEncoding.Codec? = nil, crf: Int? = nil, pixelFormat: String? = nil, ffmpeg: String? = nil) {
        (self.codec, self.crf, self.pixelFormat, self.ffmpeg) = (codec, crf, pixelFormat, ffmpeg)
    }

    public var isEmpty: Bool { self == EncodingChoice() }

    /// The words of `ffmpeg`.
    /// - Throws: `WorkflowError` for a quote that does not end.
    func words() throws -> [String] { try ShellWords.split(ffmpeg ?? "", of: "--ffmpeg") }
}
