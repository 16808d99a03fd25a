import Foundation

/// Covers of a film as files of their own, for ffmpeg to attach: it writes none into a .mkv otherwise. They go with the
/// value.
struct CoverFiles: Sendable {
    /// ffmpeg's options that attach them.
    let arguments: [String]
    private let folder: ScratchFolder

    /// - Parameter attachments: that stand before them in the output.
    /// - Throws: `VideoError.ffmpegFailed` for a cover that cannot be read.
    init?(_ covers: [MediaStream], of source: String, behind attachments: Int) async throws {
        guard !covers.isEmpty else { return nil }
        folder = try ScratchFolder()
        arguments = try await Self.read(covers, of: source, behind: attachments, into: folder)
    }

    private static func read(
        _ covers: [MediaStream], of source: String, behind attachments: Int, into folder: ScratchFolder
    ) async throws -> [String] {
        var arguments: [String] = []
        for (number, cover) in covers.enumerated() {
            let isPNG = cover.codec == "png"
            let name = "cover\(number == 0 ? "" : "\(number + 1)").\(isPNG ? "png" : "jpg")"
            let file = folder.file(name)
            let answer = try await FFmpeg.collect(
                "ffmpeg",
                FFmpeg.quietly + ["-y", "-i", FFmpeg.url(source), "-map", "0:\(cover.index)", "-c", "copy"]
                    + ["-frames:v", "1", "-f", "image2", "-update", "1", FFmpeg.url(file)], limit: 1 << 20)
            guard answer.succeeded else {
                throw VideoError.ffmpegFailed("reading the cover of \"\(source)\"", details: answer.messages)
            }
            arguments += ["-attach", file]
            let stream = "s:t:\(attachments + number)"
            arguments += ["-metadata:\(stream)", "mimetype=image/\(isPNG ? "png" : "jpeg")"]
            arguments += ["-metadata:\(stream)", "filename=\(name)"]
        }
        return arguments
    }
}
