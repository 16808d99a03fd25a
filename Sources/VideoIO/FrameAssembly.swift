/// Collects bytes until a frame is full.
struct FrameAssembly {
    private let componentCount: Int
    private let isEightBit: Bool
    private var pixels: VideoFrame.Pixels
    private var filled = 0

    init(componentCount: Int, isEightBit: Bool) {
        self.componentCount = componentCount
        self.isEightBit = isEightBit
        pixels = Self.blank(componentCount, isEightBit)
    }

    var isEmpty: Bool { filled == 0 }

    /// Takes as much as fits and says how many bytes that was. 16-bit components come low byte first.
    mutating func take(_ bytes: UnsafeRawBufferPointer) -> Int {
        func copy(to target: UnsafeMutableRawBufferPointer) -> Int {
            let count = min(bytes.count, target.count - filled)
            UnsafeMutableRawBufferPointer(rebasing: target[filled...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            return count
        }
        let taken: Int
        switch pixels {
        case .eightBit(var values):
            pixels = .eightBit([])  // keeps `values` the only owner, so that it is not copied
            taken = values.withUnsafeMutableBytes { copy(to: $0) }
            pixels = .eightBit(values)
        case .sixteenBit(var values):
            pixels = .sixteenBit([])
            taken = values.withUnsafeMutableBytes { copy(to: $0) }
            pixels = .sixteenBit(values)
        // ffmpeg hands over whole numbers.
        case .float: taken = 0
        }
        filled += taken
        return taken
    }

    /// The frame, once it is full; the next one is begun.
    mutating func finished() -> VideoFrame.Pixels? {
        guard filled == componentCount * (isEightBit ? 1 : 2) else { return nil }
        defer {
            pixels = Self.blank(componentCount, isEightBit)
            filled = 0
        }
        return pixels
    }

    private static func blank(_ count: Int, _ isEightBit: Bool) -> VideoFrame.Pixels {
        isEightBit
            ? .eightBit([UInt8](repeating: 0, count: count)) : .sixteenBit([UInt16](repeating: 0, count: count))
    }
}
