import Foundation

/// What is wrong with a video as a series of frames, found before the work by a look at some of it.
public struct Inspection: Sendable, Equatable {
    /// The frames that were looked at for repetitions, from the first on.
    public var looked = 0
    /// Of these, how many show what the one before shows.
    public var repeated = 0
    /// Sizes that follow the first one: the video changes its size.
    public var otherSizes: [String] = []

    /// A sentence for each thing that a person should know.
    public var notes: [String] {
        var notes: [String] = []
        // Still scenes repeat every frame; a rate that was raised repeats some among others that move.
        if repeated * 10 >= looked, repeated * 10 <= looked * 8, looked >= 10 {
            notes.append(
                "\(repeated) of the first \(looked) frames repeat the one before: the rate was raised, or the film was telecined;"
                    + " each repetition is restored as a frame of its own. `ffmpeg -i IN -vf mpdecimate` takes them out first.")
        }
        return notes
    }
}

extension VideoReader {
    /// Looks at the first frames for repetitions, and at the key frames for changes of size.
    ///
    /// Costs decoding `frames` frames, and the key frames of codings that may change their size midway.
    /// - Throws: `VideoError.toolMissing`, `CancellationError`.
    public func inspected(frames: Int = 120) async throws -> Inspection {
        guard case .file(let stream) = source else { return Inspection() }
        var inspection = Inspection()
        let look = ["-hide_banner", "-v", "error", "-nostdin", "-nostats", "-i", FFmpeg.url(path), "-map", "0:\(stream)"]
        let (output, _, _) = try await FFmpeg.collect(
            "ffmpeg",
            look + ["-frames:v", "\(frames)", "-vf", "trim=end_frame=\(frames),mpdecimate=hi=64:lo=64:frac=1"]
                + ["-fps_mode", "passthrough", "-f", "framecrc", "pipe:1"], limit: 16 << 20)
        let kept = String(decoding: output, as: UTF8.self).split(separator: "\n").count { !$0.hasPrefix("#") }
        if kept > 0, let count = info.frameCount {
            inspection.looked = min(frames, count)
            inspection.repeated = max(0, inspection.looked - kept)
        }
        inspection.otherSizes = try await otherSizes(stream)
        return inspection
    }

    private func otherSizes(_ stream: Int) async throws -> [String] {
        // Elsewhere the container has one size for all, and key frames can be all there is.
        let mayChange: Set = ["h264", "hevc", "mpeg2video", "mpeg1video", "vp8", "vp9", "av1"]
        guard mayChange.contains(info.codec), !info.container.hasPrefix("mov,") else { return [] }
        let (output, _, _) = try await FFmpeg.collect(
            "ffprobe",
            ["-v", "error", "-select_streams", "\(stream)", "-skip_frame", "nokey", "-show_entries", "frame=width,height"]
                + ["-of", "csv=p=0:s=x", "-i", FFmpeg.url(path)], limit: 64 << 20)
        var sizes: [String] = []
        for line in String(decoding: output, as: UTF8.self).split(separator: "\n") {
            // Side data make further fields.
            let size = line.split(separator: "x").prefix(2).joined(separator: "x")
            if !size.isEmpty, !sizes.contains(size) { sizes.append(size) }
        }
        return Array(sizes.dropFirst())
    }
}
