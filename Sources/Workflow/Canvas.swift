import VideoIO

/// A picture to put other pictures and words on: 8 bits of red, green and blue.
struct Canvas {
    let width: Int
    let height: Int
    private var values: [UInt8]

    init(width: Int, height: Int, grey: UInt8 = 24) {
        (self.width, self.height) = (width, height)
        values = [UInt8](repeating: grey, count: 3 * width * height)
    }

    var frame: VideoFrame {
        get throws { try VideoFrame(width: width, height: height, pixels: .eightBit(values)) }
    }

    /// Of another picture of 8 bits, what fits.
    mutating func draw(_ frame: VideoFrame, x left: Int, y top: Int) {
        guard case .eightBit(let pixels) = frame.pixels else { return }
        for y in 0..<min(frame.height, height - top) {
            let (from, to) = (3 * y * frame.width, 3 * ((top + y) * width + left))
            let count = 3 * max(0, min(frame.width, width - left))
            values.replaceSubrange(to..<to + count, with: pixels[from..<from + count])
        }
    }

    /// Writes in white, each dot `scale` pixels wide; what does not fit into `limit` pixels is left out.
    mutating func write(_ text: String, x left: Int, y top: Int, scale: Int, limit: Int) {
        for (column, bits) in Lettering.columns(text).enumerated() where (column + 1) * scale <= limit {
            for row in 0..<7 where bits >> UInt8(row) & 1 == 1 {
                for y in top + row * scale..<top + (row + 1) * scale where y < height {
                    for x in left + column * scale..<left + (column + 1) * scale where x < width {
                        for c in 0..<3 { values[3 * (y * width + x) + c] = 240 }
                    }
                }
            }
        }
    }
}
