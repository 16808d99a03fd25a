/// What can go wrong between a video file and its frames: one sentence each, saying what is wrong and what to do.
public enum VideoError: Error, Equatable, Sendable {
    /// `ffmpeg` or `ffprobe` is not installed.
    case toolMissing(String)
    /// Nothing is at this path.
    case fileMissing(String)
    /// A folder without a single PNG or JPEG in it.
    case noPictures(folder: String)
    /// Two pictures of one folder differ in size.
    case mixedPictureSizes(folder: String, first: String, other: String)
    /// ffmpeg does not recognise the file: empty, text, damaged before its first frame, or a format it lacks.
    case notAVideo(String, details: String)
    /// A media file without a moving picture (audio only, or audio with a cover).
    case noVideoStream(String)
    /// The file ends, or breaks, before the last frame that it promises.
    case truncated(String, decoded: Int, expected: Int?, details: String)
    /// The frames asked for are not all in the video; `count` is nil where the file does not say how many it has.
    case frameRangeOutside(String, range: Range<Int>, count: Int?)
    /// A part of the picture that does not lie in it.
    case outside(String, part: String, size: String)
    /// A YUV matrix that ffmpeg's scaler cannot turn into RGB.
    case unsupportedColour(String, matrix: String)
    /// A frame whose pixels do not fit its size, or that does not fit the file it is written to.
    case badFrame(String)
    /// The target exists, and overwriting was not asked for.
    case targetExists(String)
    /// The target's name, its codec or its settings do not go together.
    case unsupportedTarget(String, reason: String)
    /// The target's folder is missing or closed to us, or the finished file could not be moved into place.
    case cannotWrite(String, reason: String)
    /// The disk ran full while writing.
    case diskFull(String)
    /// `finish()` came before the first frame.
    case nothingWritten(String)
    /// `append` or `finish` after `finish` or `cancel`.
    case writerClosed(String)
    /// ffmpeg gave up; `details` are its last lines.
    case ffmpegFailed(String, details: String)
}

extension VideoError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .toolMissing(let tool):
            "\(tool) was not found on PATH; run `make setup` or `apt-get install ffmpeg`"
        case .fileMissing(let path):
            "there is no file or folder \"\(path)\"; check the path"
        case .noPictures(let folder):
            "the folder \"\(folder)\" has no PNG or JPEG pictures; name a video file or a folder of frames"
        case .mixedPictureSizes(let folder, let first, let other):
            "the pictures in \"\(folder)\" differ in size (\(first), but \(other)); bring them to one size first"
        case .notAVideo(let path, let details):
            "\"\(path)\" is not a video that ffmpeg can read; check that the file is complete\(Self.quote(details))"
        case .noVideoStream(let path):
            "\"\(path)\" has no video stream, only sound or other data; name a file with moving pictures"
        case .truncated(let path, let decoded, let expected, let details):
            "\"\(path)\" breaks off after \(decoded) \(expected.map { "of \($0) " } ?? "")frames;"
                + " get a complete copy, or ask for fewer frames"
                + "\(Self.quote(details))"
        case .frameRangeOutside(let path, let range, let count):
            "frames \(range.lowerBound)..<\(range.upperBound) are not all in \"\(path)\","
                + " which has \(count.map { "\($0) frames" } ?? "fewer"); ask for frames that exist"
        case .outside(let path, let part, let size):
            "\"\(path)\" has frames of \(size), and \(part) does not lie in them; give width x height + column + row"
        case .unsupportedColour(let path, let matrix):
            "\"\(path)\" uses the colour matrix \(matrix), which cannot be converted here;"
                + " convert the file to bt709 first"
        case .badFrame(let reason):
            "\(reason); give every frame the size and bit depth that was announced"
        case .targetExists(let path):
            "\"\(path)\" exists already; choose another name or ask for overwriting"
        case .unsupportedTarget(let path, let reason):
            "\"\(path)\" cannot be written: \(reason)"
        case .cannotWrite(let path, let reason):
            "\"\(path)\" cannot be written (\(reason)); choose a folder that exists and can be written to"
        case .diskFull(let path):
            "the disk ran full while writing \"\(path)\"; free some space and run again"
        case .nothingWritten(let path):
            "\"\(path)\" was finished without a frame; append at least one frame first"
        case .writerClosed(let path):
            "\"\(path)\" is finished or cancelled; open a new writer to write more"
        case .ffmpegFailed(let action, let details):
            "ffmpeg failed while \(action); its last lines may say why\(Self.quote(details))"
        }
    }

    private static func quote(_ details: String) -> String {
        details.isEmpty ? "" : " [ffmpeg: \(details)]"
    }
}
