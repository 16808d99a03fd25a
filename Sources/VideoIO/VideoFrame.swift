/// One decoded picture: interleaved red, green, blue, row by row from the top left, full range.
///
/// Value (0 ... 255 or 0 ... 65535) of channel c at column x of row y: `pixels[(y * width + x) * 3 + c]`.
/// Copying shares the storage.
public struct VideoFrame: Sendable, Equatable {
    public enum Pixels: Sendable, Equatable {
        case eightBit([UInt8])
        case sixteenBit([UInt16])
        /// As the engine has them, in [-1, 1], and beyond where nothing was rounded.
        case float([Float])

        /// Number of components: 3 per pixel.
        public var count: Int {
            switch self {
            case .eightBit(let values): values.count
            case .sixteenBit(let values): values.count
            case .float(let values): values.count
            }
        }
    }

    public let width: Int
    public let height: Int
    public let pixels: Pixels

    /// Throws `VideoError.badFrame` unless there are exactly width * height * 3 components and at least one pixel.
    public init(width: Int, height: Int, pixels: Pixels) throws(VideoError) {
        guard let count = VideoFrame.componentCount(width: width, height: height) else {
            throw .badFrame("a frame cannot be \(width)x\(height) pixels")
        }
        guard pixels.count == count else {
            throw .badFrame("a \(width)x\(height) frame has \(count) components, not \(pixels.count)")
        }
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// Bits per component, 8, 16, or 32 for numbers that were not rounded.
    public var bitDepth: Int {
        switch pixels {
        case .eightBit: 8
        case .sixteenBit: 16
        case .float: 32
        }
    }

    /// width * height * 3, or nil for a size that is not positive or overflows.
    static func componentCount(width: Int, height: Int) -> Int? {
        guard width > 0, height > 0 else { return nil }
        let (area, overflow) = width.multipliedReportingOverflow(by: height)
        // Room for 32 bits per component, so that byte counts cannot overflow later.
        guard !overflow, area <= Int.max / 12 else { return nil }
        return area * 3
    }
}
