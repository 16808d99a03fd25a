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
        let frames = Handoff<VideoFrame>()
        let small = decodedInfo.small
        let decoding = Task {
            do {
                _ = try await decode(range, isSmall: true, into: frames)
                frames.finish()
            } catch {
                frames.finish(.failure(error))
            }
        }
        defer { decoding.cancel() }
        var detector = SceneDetector()
        while let frame = try await frames.next() {
            detector.add(frame.small(width: small.width, height: small.height))
            if detector.frameCount % 64 == 0 { tell(detector.frameCount) }
        }
        return SceneScan(frameCount: detector.frameCount, cuts: detector.cuts)
    }
}

extension VideoFrame {
    /// 8-bit components at a smaller size: one pixel of each block.
    fileprivate func small(width columns: Int, height rows: Int) -> [UInt8] {
        if case .eightBit(let values) = pixels, width == columns, height == rows { return values }
        var result: [UInt8] = []
        result.reserveCapacity(columns * rows * 3)
        for row in 0..<rows {
            let line = row * height / rows * width
            for column in 0..<columns {
                let place = (line + column * width / columns) * 3
                switch pixels {
                case .eightBit(let values): result += values[place..<place + 3]
                case .sixteenBit(let values): result += values[place..<place + 3].map { UInt8($0 >> 8) }
                case .float(let values):
                    result += values[place..<place + 3].map { UInt8(min(max(($0 + 1) * 127.5, 0), 255).rounded()) }
                }
            }
        }
        return result
    }
}
