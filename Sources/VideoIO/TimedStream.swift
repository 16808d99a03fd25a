/// Raw frames with their times, as ffmpeg reads them from a pipe: the least of Matroska, without an index and without
/// an end.
///
/// Raw video alone has one rate and says nothing of mastering.
struct TimedStream: Sendable {
    let width: Int
    let height: Int
    /// 8 or 16.
    let bitDepth: Int
    /// Of what is said to be usual; the frames' own times count.
    let frameRate: FrameRate
    let mastering: MasteringData?

    /// What comes before the first frame.
    var header: [UInt8] {
        var video = Self.element(0xB0, Self.unsigned(width)) + Self.element(0xBA, Self.unsigned(height))
        // 'RGB' and the bits of a pixel, as ffmpeg names raw formats.
        video += Self.element(0x2EB524, Array("RGB".utf8) + [UInt8(bitDepth * 3)])
        if let colour { video += Self.element(0x55B0, colour) }
        var track = Self.element(0xD7, [1]) + Self.element(0x73C5, [1]) + Self.element(0x83, [1])
        track += Self.element(0x86, Array("V_UNCOMPRESSED".utf8))
        // Without a word it would be English.
        track += Self.element(0x22B59C, Array("und".utf8))
        track += Self.element(0x23E383, Self.unsigned(Int((1e9 / frameRate.perSecond).rounded())))
        track += Self.element(0xE0, video)
        let kind =
            Self.element(0x4286, [1]) + Self.element(0x42F7, [1]) + Self.element(0x42F2, [4])
            + Self.element(0x42F3, [8])
            + Self.element(0x4282, Array("matroska".utf8)) + Self.element(0x4287, [4]) + Self.element(0x4285, [2])
        // Times in nanoseconds.
        let info =
            Self.element(0x2AD7B1, [1]) + Self.element(0x4D80, Array("visionxl".utf8))
            + Self.element(0x5741, Array("visionxl".utf8))
        let endless = [0x01] + [UInt8](repeating: 0xFF, count: 7)
        return Self.element(0x1A45_DFA3, kind) + Self.identifier(0x1853_8067) + endless
            + Self.element(0x1549_A966, info) + Self.element(0x1654_AE6B, Self.element(0xAE, track))
    }

    /// What comes before a frame's bytes.
    func frameHeader(nanoseconds: Int) -> [UInt8] {
        let bytes = width * height * 3 * bitDepth / 8
        let time = Self.element(0xE7, Self.unsigned(nanoseconds))
        let block = Self.identifier(0xA3) + Self.length(bytes + 4) + [0x81, 0, 0, 0x80]
        return Self.identifier(0x1F43_B675) + Self.length(time.count + block.count - 4 + bytes + 4) + time + block
    }

    private var colour: [UInt8]? {
        guard let mastering else { return nil }
        var parts: [UInt8] = []
        if let most = mastering.maximumContent { parts += Self.element(0x55BC, Self.unsigned(most)) }
        if let most = mastering.maximumAverage { parts += Self.element(0x55BD, Self.unsigned(most)) }
        if let display = mastering.display, display.count == 10 {
            // Red, green, blue and white; then the most and the least luminance.
            let values = display[..<8] + [display[9], display[8]]
            let identifiers = 0x55D1...0x55DA
            let all = zip(identifiers, values).flatMap { Self.element($0, Self.double($1)) }
            parts += Self.element(0x55D0, all)
        }
        return parts
    }

    private static func element(_ id: Int, _ content: [UInt8]) -> [UInt8] {
        identifier(id) + length(content.count) + content
    }

    private static func identifier(_ id: Int) -> [UInt8] { unsigned(id) }

    /// In eight bytes, whatever it is.
    private static func length(_ count: Int) -> [UInt8] { [0x01] + bytes(UInt64(count)).dropFirst() }

    /// Without leading zeros.
    private static func unsigned(_ value: Int) -> [UInt8] {
        let all = bytes(UInt64(max(value, 0)))
        return Array(all.drop { $0 == 0 }.isEmpty ? [0] : all.drop { $0 == 0 })
    }

    private static func double(_ value: Double) -> [UInt8] { bytes(value.bitPattern) }

    private static func bytes(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(56 - 8 * $0)) }
    }
}
