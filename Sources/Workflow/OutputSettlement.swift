import Foundation
import VideoIO
import VisionXL

/// How the result is stored and what it keeps of the measured file, settled before the work begins.
struct OutputSettlement: Sendable {
    let encoding: VideoEncoding
    let plan: OutputPlan
    /// Bits of the frames that are handed to the encoder.
    let frameBits: Int
    /// What a person should know before, a sentence each.
    let notes: [String]

    /// - Throws: `WorkflowError` and `VideoError` for what cannot be stored.
    init(_ recipe: Recipe, _ reader: VideoReader, frames: Range<Int>?, height: Int, width: Int) async throws {
        let info = reader.info
        try Self.checkFields(recipe, info)
        encoding = try Policy.encoding(
            recipe.encoding, bits: recipe.bits, to: recipe.output, storedBits: info.bitDepth
        ).value.with(extraArguments: recipe.encoding.words())
        plan = try OutputPlan(for: reader, to: recipe.output, frames: frames, leaving: Set(recipe.leaveOut))
        // Rounded once: where the file is not what the frames are, by the encoder.
        let isWhole = encoding.codec.isLossless && encoding.bits == 8 && encoding.pixelFormat == nil
        frameBits = encoding.codec == .float32 ? 32 : isWhole ? 8 : 16
        try await VideoWriter.rehearse(
            to: recipe.output, width: width, height: height, bitDepth: frameBits, frameRate: info.frameRate,
            encoding: encoding, tags: info.tagsForCopies, keeping: plan)
        let inspection = try await reader.inspected()
        if let other = inspection.otherSizes.first {
            throw WorkflowError.message(
                "\(recipe.input) changes its size (\(info.width)x\(info.height), then \(other)): bring it to one "
                    + "first, for example with `ffmpeg -i IN -vf scale=\(info.width):\(info.height) -c:v ffv1 OUT.mkv`."
            )
        }
        if inspection.isTelecined, !recipe.isProgressive {
            throw WorkflowError.message(
                "\(recipe.input) is telecined: film was spread over more frames, some of which weave two moments "
                    + "together. Undo that first, with `ffmpeg -i IN -vf fieldmatch,decimate -c:v ffv1 -c:a copy "
                    + "OUT.mkv`, or say --progressive if its frames are whole.")
        }
        notes = plan.notes + inspection.notes
    }

    /// A result that is encoded in segments.
    /// - Parameter frames: of each segment.
    /// - Throws: `VideoError` for words that would act on each of them.
    func segments(
        _ frames: [Range<Int>], of video: MeasuredVideo, to path: String, overwrite: Bool
    ) throws -> VideoSegments {
        try VideoSegments(
            to: path, frames: frames, width: video.width, height: video.height, bitDepth: frameBits,
            frameRate: video.info.frameRate, encoding: encoding, tags: video.info.tagsForCopies, keeping: plan,
            overwrite: overwrite)
    }

    /// Two fields are two moments: a restoration that takes them for one would smear both.
    static func checkFields(_ recipe: Recipe, _ info: VideoInfo) throws {
        guard info.isInterlaced, !recipe.isProgressive else { return }
        let first = info.fieldOrder?.hasPrefix("t") == true ? "top" : "bottom"
        throw WorkflowError.message(
            "\(recipe.input) is interlaced (\(first) field first): each frame is two pictures woven together. "
                + "Make whole frames first, with `ffmpeg -i IN -vf bwdif -c:v ffv1 -c:a copy OUT.mkv` (for telecine "
                + "`-vf fieldmatch,decimate`), or say --progressive if its frames are whole in spite of what it says.")
    }
}

extension VideoEncoding {
    fileprivate func with(extraArguments: [String]) -> VideoEncoding {
        var copy = self
        copy.extraArguments = extraArguments
        return copy
    }
}
