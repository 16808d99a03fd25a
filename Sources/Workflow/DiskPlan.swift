import Foundation
import ModelHub
import VideoIO

/// What a run takes of the disk, reckoned before it begins.
public struct DiskPlan: Sendable, Equatable, Encodable {
    /// Bytes of the finished windows that lie there at the same time, at most.
    public var windows: Int
    /// Of the result, about: what frames come to is known when they are encoded.
    public var result: Int

    /// Of the result's segments, which lie there until they are joined; pictures are moved.
    public var segments: Int

    public var total: Int { windows + segments + result }

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
        case .raw:
            // Colours have half the size where sides are even.
            let isWhole = height % 2 != 0 || width % 2 != 0 || encoding.pixelFormat != nil
            perPixel = (isWhole ? 3 : 1.5) * (bits <= 8 ? 1 : 2)
        case .prores: perPixel = 0.7
        case .h264, .h265, .av1: perPixel = 0.15
        }
        result = Int(Double(frames * pixels) * perPixel) + 100_000
        segments = longest == 0 || encoding.codec == .png ? 0 : result
    }

    /// Refuses a disk that cannot hold it.
    /// - Parameter present: bytes of it that lie there already.
    /// - Throws: `WorkflowError`.
    func check(workFolder: String, output: String, present: Int = 0) throws {
        let (work, out) = (Self.volume(workFolder), Self.volume(output))
        func refuse(_ needed: Int, _ volume: Volume?, _ place: String, _ advice: String) throws {
            guard let volume, needed > volume.free else { return }
            throw WorkflowError.message(
                "About \(sizeText(needed)) are needed on the disk of \(place) and \(sizeText(volume.free)) are free; free some space, \(advice)."
            )
        }
        let (elsewhere, other) = ("or write to another disk", "take a smaller --window, or another disk with --work")
        if windows == 0 {
            try refuse(result, out, output, elsewhere)
        } else if work?.number == out?.number {
            try refuse(max(0, total - present), work, workFolder, other)
        } else {
            // What is moved within a disk is copied to another one.
            try refuse(max(0, windows + result - present), work, workFolder, other)
            try refuse(result, out, output, elsewhere)
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
        // What has no blocks is no disk, and says itself why nothing can be written there.
        guard statvfs(url.path, &space) == 0, space.f_blocks > 0, stat(url.path, &status) == 0 else { return nil }
        return Volume(
            number: UInt64(status.st_dev), free: Int(clamping: UInt64(space.f_bavail) * UInt64(space.f_frsize)))
    }
}

extension DiskPlan: CustomStringConvertible {
    /// What is told before several windows are made.
    /// - Parameter work: the folder that an interrupted run goes on with; nil where none can.
    func note(work: String?) -> String {
        "\(self)" + (work.map { "; what is done lies in \($0), and the same command goes on with it." } ?? ".")
    }

    /// "up to 1.2 GB of disk, 0.9 GB of it windows until they are encoded".
    public var description: String {
        windows == 0
            ? "about \(sizeText(result)) of disk"
            : "about \(sizeText(total)) of disk until the result is in place: \(sizeText(windows)) for windows, "
                + "\(segments > 0 ? "twice " : "")\(sizeText(result)) for the result"
    }
}
