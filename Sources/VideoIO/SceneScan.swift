/// A first look at a whole video: how many frames there are to see, and where scenes begin.
public struct SceneScan: Sendable, Equatable {
    /// Frames that ffmpeg decodes, which a damaged file may promise more of.
    public var frameCount: Int
    /// The first frame of each scene but the first, counted from the first frame that was looked at.
    public var cuts: [Int]

    public init(frameCount: Int, cuts: [Int]) { (self.frameCount, self.cuts) = (frameCount, cuts) }
}

extension VideoReader {
    /// Decodes all frames once, at 256 pixels or fewer, and tells where scenes begin (`SceneDetector`).
    ///
    /// Costs decoding the video, and about a tenth of a millisecond a frame; memory for a few small frames.
    /// - Parameters:
    ///   - range: the frames that are looked at; all when nil.
    ///   - tell: called now and then with the number of frames that were seen.
    /// - Throws: as iterating over `frames()`.
    public func scanned(
        _ range: Range<Int>? = nil, tell: @escaping @Sendable (Int) -> Void = { _ in }
    ) async throws -> SceneScan {
        let size = SceneDetector.size(width: info.width, height: info.height)
        var iterator = FrameSequence(reader: self, range: range, lookSize: size).makeAsyncIterator()
        var detector = SceneDetector()
        while let frame = try await iterator.next() {
            detector.add(frame.small(size))
            if detector.frameCount % 64 == 0 { tell(detector.frameCount) }
        }
        return SceneScan(frameCount: detector.frameCount, cuts: detector.cuts)
    }
}

extension VideoFrame {
    /// 8-bit components at a smaller size: one pixel of each block.
    fileprivate func small(_ size: (width: Int, height: Int)) -> [UInt8] {
        if (width, height) == size, case .eightBit(let values) = pixels { return values }
        var result: [UInt8] = []
        result.reserveCapacity(size.width * size.height * 3)
        for row in 0..<size.height {
            let line = row * height / size.height * width
            for column in 0..<size.width {
                let place = (line + column * width / size.width) * 3
                switch pixels {
                case .eightBit(let values): result += values[place..<place + 3]
                case .sixteenBit(let values): result += values[place..<place + 3].map { UInt8($0 >> 8) }
                }
            }
        }
        return result
    }
}

extension SceneDetector {
    /// Of the frames that are looked at: at most 256 pixels along the longer side.
    static func size(width: Int, height: Int) -> (width: Int, height: Int) {
        let longest = max(width, height, 256)
        return (max(1, width * 256 / longest), max(1, height * 256 / longest))
    }
}
