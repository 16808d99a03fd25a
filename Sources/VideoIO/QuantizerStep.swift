import Foundation

extension VideoReader {
    /// How coarsely the coding rounds the coefficients of its transforms: the root mean square, over the slices of the first frames, of the
    /// quantizer's step, in units of the pixel range 0...1. Read from the slices' headers, without decoding.
    ///
    /// An H.264 or HEVC quantizer doubles its step every 6 and rounds by 1/255 at 4 (ITU-T H.264, table 8-13). What differs from block to block
    /// is not read, nor are the larger steps that an encoder may give to high frequencies.
    ///
    /// - Returns: nil where the coding has no such quantizer, and where ffmpeg cannot read its headers.
    /// - Throws: `VideoError.toolMissing`, `CancellationError`.
    ///
    /// Costs about 0.1 s.
    public func quantizerStep(firstFrames count: Int) async throws -> Double? {
        guard case .file(let stream) = source, ["h264", "hevc"].contains(info.codec), count > 0 else { return nil }
        let arguments = [
            "-hide_banner", "-v", "info", "-nostdin", "-nostats", "-i", FFmpeg.url(path), "-map", "0:\(stream)", "-c",
            "copy",
            "-frames:v", "\(count)", "-bsf:v", "trace_headers", "-f", "null", "-",
        ]
        var headers = SliceHeaders()
        try await FFmpeg.eachMessage("ffmpeg", arguments) { headers.read($0) }
        return headers.quantizerStep
    }
}

/// What ffmpeg's `trace_headers` says of quantizers: lines such as
/// `[trace_headers @ 0x5581] 30          slice_qp_delta                                            00110 = 3`.
struct SliceHeaders {
    private var parameterSet = 0
    /// Of every picture parameter set.
    private var initial: [Int: Int] = [:]
    private var squares = 0.0
    private var slices = 0

    /// Nil before any slice was seen.
    var quantizerStep: Double? { slices > 0 ? (squares / Double(slices)).squareRoot() : nil }

    mutating func read(_ line: String) {
        guard line.hasPrefix("[trace_headers") else { return }
        let words = line.split(separator: " ")
        guard words.count >= 7, words[words.count - 2] == "=", let value = Int(words[words.count - 1]) else { return }
        switch words[words.count - 4] {
        case "pic_parameter_set_id", "pps_pic_parameter_set_id", "slice_pic_parameter_set_id": parameterSet = value
        case "pic_init_qp_minus26", "init_qp_minus26": initial[parameterSet] = 26 + value
        case "slice_qp_delta":
            let quantizer = (initial[parameterSet] ?? 26) + value
            let step = pow(2, Double(quantizer - 4) / 6) / 255
            squares += step * step
            slices += 1
        default: break
        }
    }
}
