import Foundation

/// What this ffmpeg can encode.
enum Encoders {
    /// The pixel formats that an encoder stores, none where it does not say; nil where there is no such encoder.
    static func formats(of encoder: String) async throws -> Set<String>? {
        let answer = try await FFmpeg.collect("ffmpeg", ["-hide_banner", "-h", "encoder=\(encoder)"], limit: 1 << 20)
        let text = String(decoding: answer.output, as: UTF8.self)
        guard text.hasPrefix("Encoder ") else { return nil }
        let line = text.split(separator: "\n").first { $0.contains("Supported pixel formats:") }
        return Set(line?.split(separator: ":").last?.split(separator: " ").map(String.init) ?? [])
    }

    /// Bits of a pixel format's components; nil where ffmpeg does not know it.
    static func depth(of format: String) async throws -> Int? {
        let arguments = ["-v", "error", "-of", "json", "-show_pixel_formats"]
        let answer = try await FFmpeg.collect("ffprobe", arguments, limit: 16 << 20)
        struct Report: Decodable {
            var pixel_formats: [Probe.PixelFormat]
        }
        let report = try? JSONDecoder().decode(Report.self, from: Data(answer.output))
        return report?.pixel_formats.first { $0.name == format }?.components?.map(\.bit_depth).max()
    }
}
