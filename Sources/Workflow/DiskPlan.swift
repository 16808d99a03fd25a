import Foundation
import ModelHub
import VideoIO

/// What a run takes of the disk, reckoned before it begins.
public struct DiskPlan: Sendable, Equatable, Encodable {
    /// Bytes of the finished windows that lie there at the same time, at most.
    public var windows: Int
    /// Of the result, about: what frames come to is known when they are encoded.
    public var result: Int

    /// The result's segments lie there until they are joined.
    public var total: Int { windows == 0 ? result : windows + 2 * result }

    /// - Parameters:
    ///   - longest: stored frames of the largest segment with what is faded into it; 0 for a result that is written at once.
    init(frames: Int, longest: Int, height: Int, width: Int, encoding: VideoEncoding, frameBits: Int) {
        let pixels = height * width
        // Frames, and for two scenes what their windows start from: latents of at most a frame's size in float32, twice.
        windows = longest == 0 ? 0 : longest * pixels * 6 + 2 * 2 * pixels * 12
        let bits = encoding.bits ?? frameBits
        // Bytes of a pixel: of lossless codings what noisy footage was seen to take, of the others what their best quality may.
        let perPixel: Double
        switch encoding.codec {
        case .ffv1, .png: perPixel = bits <= 8 ? 1.8 : 3.0 * Double(bits) / 8 * 0.85
        case .float32: perPixel = 12
        case .raw: perPixel = bits <= 8 ? 3 : 6
        case .prores: perPixel = 0.7
        case .h264, .h265, .av1: perPixel = 0.15
        }
        result = Int(Double(frames * pixels) * perPixel) + 100_000
    }

    /// Refuses a disk that cannot hold it.
    /// - Parameter present: bytes of it that lie there already.
    /// - Throws: `WorkflowError`.
    func check(workFolder: String, output: String, present: Int = 0) throws {
        let (work, out) = (Self.volume(workFolder), Self.volume(output))
        func refuse(_ needed: Int, _ volume: Volume?, _ place: String) throws {
            guard let volume, needed > volume.free else { return }
            throw WorkflowError.message(
                "About \(sizeText(needed)) are needed on the disk of \(place) and \(sizeText(volume.free)) are free; free some space, "
                    + "take a smaller --window, or another disk with --work.")
        }
        if windows == 0 {
            try refuse(result, out, output)
        } else if work?.number == out?.number {
            try refuse(max(0, total - present), work, workFolder)
        } else {
            try refuse(max(0, windows + result - present), work, workFolder)
            try refuse(result, out, output)
        }
    }

    private struct Volume {
        var number: UInt64
        var free: Int
    }

    /// Of the disk on which a path lies or is going to.
    private static func volume(_ path: String) -> Volume? {
        var url = URL(fileURLWithPath: path).standardizedFileURL
        while !FileManager.default.fileExists(atPath: url.path), url.path != "/" { url.deleteLastPathComponent() }
        var (space, status) = (statvfs(), stat())
        guard statvfs(url.path, &space) == 0, stat(url.path, &status) == 0 else { return nil }
        return Volume(
            number: UInt64(status.st_dev), free: Int(clamping: UInt64(space.f_bavail) * UInt64(space.f_frsize)))
    }
}

extension DiskPlan: CustomStringConvertible {
    /// "up to 1.2 GB of disk, 0.9 GB of it windows until they are encoded".
    public var description: String {
        windows == 0
            ? "about \(sizeText(result)) of disk"
            : "about \(sizeText(total)) of disk until the result is in place: \(sizeText(windows)) for windows, twice "
                + "\(sizeText(result)) for the result"
    }
}

extension WindowPlan {
    /// Windows whose frames are encoded together: as many as three of the largest keep, and less where frames are large.
    /// - Parameter frameBytes: of a stored frame.
    func segments(frameBytes: Int) -> [Range<Int>] {
        let longest = windows.map(stored).max() ?? 1
        // Beside a segment lie the windows before and behind it, which are faded with it, and those that are made while it is encoded.
        let room = (Self.mostBytes / max(frameBytes, 1) - 2 * longest) / 2
        let most = max(longest, min(3 * longest, room))
        var (segments, first, frames) = ([Range<Int>](), 0, 0)
        for index in windows.indices {
            let more = stored(windows[index])
            if index > first, frames + more > most {
                segments.append(first..<index)
                (first, frames) = (index, 0)
            }
            frames += more
        }
        if !windows.isEmpty { segments.append(first..<windows.count) }
        return segments
    }

    /// Of all windows that lie in the folder at the same time.
    static let mostBytes = 2_000_000_000

    /// Frames of a window that are stored: what is kept, and what is faded with other windows.
    func stored(_ window: Window) -> Int {
        window.fadeBefore + window.kept.count + rules.surplus + window.fadeAfter
    }

    /// Windows that a segment's frames are made of: its own, and those that are faded with them.
    func sources(of segment: Range<Int>) -> Range<Int> {
        guard let first = segment.first, let last = segment.last else { return segment }
        return first - (windows[first].fadeBefore > 0 ? 1 : 0)..<last + 1 + (windows[last].fadeAfter > 0 ? 1 : 0)
    }

    /// Stored frames that lie in the folder at the same time, at most.
    func mostStored(_ segments: [Range<Int>]) -> Int {
        let each = segments.map { sources(of: $0).reduce(0) { $0 + stored(windows[$1]) } }
        // While one is encoded the next is made.
        return each.indices.map { each[$0] + (each.indices.contains($0 + 1) ? each[$0 + 1] : 0) }.max() ?? 0
    }
}
