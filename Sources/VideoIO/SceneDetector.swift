/// Finds where one scene of a video ends and the next begins, fed small frames one by one.
///
/// A frame's score is how much its hue, saturation and value differ from those of the frame before, as PySceneDetect's ContentDetector has
/// it; a cut stands out among its neighbours, as its adaptive rule has it. Two things are added: cuts that follow each other at once are all
/// found, and a flash whose two sides match is none.
///
/// Cost: about 10 ns for each pixel of a small frame; memory for four of them, and eight bytes a frame.
public struct SceneDetector: Sendable {
    /// What a cut's score is at least.
    public static let leastScore = 15.0
    /// How many times the mean of its neighbours a cut's score is at least.
    public static let leastRatio = 3.0
    /// A score from which on neighbours may be cuts, too, and which needs no neighbours.
    public static let certainScore = 27.0
    /// Scores on each side that a score is held against.
    static let neighbours = 2
    /// Frames of the longest flash.
    static let longestFlash = 3
    /// Cuts that follow each other at once; a longer run of high scores is motion.
    static let longestRun = 4
    /// Hue and saturation of darker pixels mean nothing.
    static let dark: UInt8 = 32

    /// For each frame, how much it differs from the one before: 0 for none, at most 255; the first frame's is 0.
    public private(set) var scores: [Double] = []
    /// Flashes: the first frame of each, with the first one that looks as before.
    private var flashes: [Int: Int] = [:]
    /// The last frames, the newest last.
    private var recent: [[UInt8]] = []

    public init() {}

    public var frameCount: Int { scores.count }

    /// The next frame.
    /// - Parameter pixels: red, green, blue of each pixel, full range; every frame has as many.
    public mutating func add(_ pixels: [UInt8]) {
        let frame = Self.hueSaturationValue(pixels)
        let number = scores.count
        scores.append(recent.last.map { Self.difference($0, frame) } ?? 0)
        // Whether this is what was seen before a flash that began one, two or three frames ago.
        for length in 1...Self.longestFlash {
            let first = number - length
            guard first >= 1, scores[first] >= Self.leastScore, flashes[first] == nil else { continue }
            let before = recent[recent.count - length - 1]
            if Self.difference(before, frame) < Self.leastScore { flashes[first] = number }
        }
        recent.append(frame)
        if recent.count > Self.longestFlash + 1 { recent.removeFirst() }
    }

    /// The first frame of each scene but the first, from what was seen so far.
    public var cuts: [Int] {
        var cuts: [Int] = []
        var frame = 1
        while frame < scores.count {
            if standsOut(frame) {
                if let end = flashes[frame] {
                    frame = end + 1
                    continue
                }
                cuts.append(frame)
            }
            frame += 1
        }
        return cuts
    }

    private func standsOut(_ frame: Int) -> Bool {
        let score = scores[frame]
        guard score >= Self.leastScore else { return false }
        // Cuts beside this one do not speak against it.
        var (first, last) = (frame, frame)
        while first > 1, scores[first - 1] >= Self.certainScore { first -= 1 }
        while last + 1 < scores.count, scores[last + 1] >= Self.certainScore { last += 1 }
        if last - first >= Self.longestRun { (first, last) = (frame, frame) }
        let before = max(1, first - Self.neighbours)..<first
        let after = (last + 1)..<max(last + 1, min(scores.count, last + 1 + Self.neighbours))
        let beside = scores[before] + scores[after]
        guard !beside.isEmpty else { return score >= Self.certainScore }
        return score >= Self.leastRatio * beside.reduce(0, +) / Double(beside.count)
    }

    // MARK: Differences

    /// Hue (half degrees, 0 to 179), saturation and value of each pixel.
    static func hueSaturationValue(_ pixels: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: pixels.count) { target, initialized in
            pixels.withUnsafeBufferPointer { source in
                for place in stride(from: 0, to: source.count - 2, by: 3) {
                    let (r, g, b) = (Int32(source[place]), Int32(source[place + 1]), Int32(source[place + 2]))
                    let (value, least) = (max(r, max(g, b)), min(r, min(g, b)))
                    let range = value - least
                    var hue: Int32 = 0
                    if range > 0 {
                        if value == r {
                            hue = 30 * (g - b) / range
                        } else if value == g {
                            hue = 60 + 30 * (b - r) / range
                        } else {
                            hue = 120 + 30 * (r - g) / range
                        }
                        if hue < 0 { hue += 180 }
                    }
                    target[place] = UInt8(truncatingIfNeeded: hue)
                    target[place + 1] = UInt8(truncatingIfNeeded: value == 0 ? 0 : 255 * range / value)
                    target[place + 2] = UInt8(truncatingIfNeeded: value)
                }
            }
            initialized = pixels.count
        }
    }

    /// The mean of three mean differences, in hue around its circle, saturation and value.
    static func difference(_ a: [UInt8], _ b: [UInt8]) -> Double {
        var sum = 0
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                for place in stride(from: 0, to: min(a.count, b.count) - 2, by: 3) {
                    let (v, w) = (a[place + 2], b[place + 2])
                    var part = abs(Int32(v) - Int32(w))
                    if min(v, w) >= dark {
                        let turn = abs(Int32(a[place]) - Int32(b[place]))
                        part += min(turn, 180 - turn) + abs(Int32(a[place + 1]) - Int32(b[place + 1]))
                    }
                    sum += Int(part)
                }
            }
        }
        return a.isEmpty ? 0 : Double(sum) / Double(a.count)
    }
}
