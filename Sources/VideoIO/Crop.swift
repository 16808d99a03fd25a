/// A part of a picture: `WxH+X+Y`, its size and the column and row of its upper left corner.
public struct Crop: Sendable, Hashable, CustomStringConvertible {
    public let width: Int
    public let height: Int
    public let x: Int
    public let y: Int

    /// Nil for a part without a pixel, and for one that begins outside.
    public init?(width: Int, height: Int, x: Int, y: Int) {
        guard width > 0, height > 0, x >= 0, y >= 0 else { return nil }
        (self.width, self.height, self.x, self.y) = (width, height, x, y)
    }

    /// "320x240+10+20".
    public init?(_ text: String) {
        let parts = text.split(separator: "+", omittingEmptySubsequences: false)
        let size = parts[0].split(separator: "x", omittingEmptySubsequences: false)
        guard parts.count == 3, size.count == 2, let width = Int(size[0]), let height = Int(size[1]),
            let x = Int(parts[1]), let y = Int(parts[2])
        else { return nil }
        self.init(width: width, height: height, x: x, y: y)
    }

    public var description: String { "\(width)x\(height)+\(x)+\(y)" }
}

extension Crop: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let crop = Crop(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no crop such as 320x240+10+20")
        }
        self = crop
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension VideoFrame {
    /// A part of it, which must lie inside.
    func cropped(to crop: Crop) throws(VideoError) -> VideoFrame {
        func part<Value>(_ values: [Value]) -> [Value] {
            var result: [Value] = []
            result.reserveCapacity(3 * crop.width * crop.height)
            for row in crop.y..<crop.y + crop.height {
                let start = 3 * (row * width + crop.x)
                result += values[start..<start + 3 * crop.width]
            }
            return result
        }
        guard crop.x + crop.width <= width, crop.y + crop.height <= height else {
            throw .badFrame("a part of \(crop) does not lie in a frame of \(width)x\(height)")
        }
        let pixels: Pixels =
            switch pixels {
            case .eightBit(let values): .eightBit(part(values))
            case .sixteenBit(let values): .sixteenBit(part(values))
            case .float(let values): .float(part(values))
            }
        return try VideoFrame(width: crop.width, height: crop.height, pixels: pixels)
    }
}
