import Foundation
import VideoIO

/// What marks the known pixels of a mask: people draw masks in many ways.
enum MaskKind: Equatable {
    /// What is brighter than that part of white is known. A soft edge counts as hole.
    case brighter(than: Double)
    /// All that is not black is known: 0 and 1 of 255, black to the eye.
    case notBlack
    /// What is painted in a colour is missing.
    case painted
    /// What is transparent is missing.
    case opaque
}

/// What pictures of a mask show, one after the other: enough to say what marks the known pixels.
struct MaskLook {
    private var values: Set<Int> = []
    private var isPainted = false
    private var isTransparent = false
    private var step = 1.0

    mutating func add(_ frame: MaskFrame) {
        step = frame.step
        if frame.opacity.contains(where: { $0 < 0.99 }) { isTransparent = true }
        if !isPainted, frame.colourfulness.contains(where: { $0 > MaskFrame.painted }) { isPainted = true }
        // Three say as much as many.
        if values.count < 3 { for value in frame.brightness { values.insert(Int((value * 65535).rounded())) } }
    }

    var kind: MaskKind {
        if isPainted { return .painted }
        if isTransparent { return .opaque }
        let (low, high) = (Double(values.min() ?? 0) / 65535, Double(values.max() ?? 0) / 65535)
        if high > 0, high < step * 1.5 { return .notBlack }
        // Two greys are what was meant, whichever they are.
        return .brighter(than: values.count == 2 ? (low + high) / 2 : 0.9)
    }
}

/// A mask's picture, each value from 0 to 1, row by row.
struct MaskFrame {
    static let painted: Float = 0.25

    let width: Int
    let height: Int
    let brightness: [Float]
    /// The brightest component less the darkest.
    let colourfulness: [Float]
    /// Empty where every pixel is opaque.
    let opacity: [Float]
    /// From one value to the next.
    let step: Double

    init(_ frame: VideoFrame, opacity alpha: VideoFrame? = nil) {
        (width, height) = (frame.width, frame.height)
        let values = Self.values(frame)
        step = frame.bitDepth == 8 ? 1.0 / 255 : 1.0 / 65535
        var (brightness, colourfulness) = ([Float](), [Float]())
        for pixel in stride(from: 0, to: values.count, by: 3) {
            let (r, g, b) = (values[pixel], values[pixel + 1], values[pixel + 2])
            brightness.append((r + g + b) / 3)
            colourfulness.append(max(r, g, b) - min(r, g, b))
        }
        (self.brightness, self.colourfulness) = (brightness, colourfulness)
        opacity =
            alpha.map { frame in
                let values = Self.values(frame)
                return stride(from: 0, to: values.count, by: 3).map { values[$0] }
            } ?? []
    }

    private static func values(_ frame: VideoFrame) -> [Float] {
        switch frame.pixels {
        case .eightBit(let values): values.map { Float($0) / 255 }
        case .sixteenBit(let values): values.map { Float($0) / 65535 }
        case .float(let values): values.map { ($0 + 1) / 2 }
        }
    }

    /// 1 where pixels are known and 0 in holes.
    func known(_ kind: MaskKind, inverted: Bool) -> [UInt8] {
        let known: [Bool] =
            switch kind {
            case .brighter(let limit): brightness.map { Double($0) > limit }
            case .notBlack: brightness.map { $0 > 0 }
            case .painted: colourfulness.map { $0 <= Self.painted }
            case .opaque: opacity.isEmpty ? brightness.map { _ in true } : opacity.map { $0 > 0.99 }
            }
        return known.map { $0 != inverted ? 1 : 0 }
    }
}

/// A mask of known pixels, 1, and holes, 0.
struct PixelMask: Equatable {
    var width: Int
    var height: Int
    var known: [UInt8]

    var holes: Int { known.count { $0 == 0 } }

    /// Every pixel within so many rows and columns of a hole becomes one.
    func grown(by reach: Int) -> PixelMask {
        guard reach > 0 else { return self }
        /// The least of each value and its neighbours along a line of `count` values, `step` apart.
        func spread(_ values: [UInt8], count: Int, step: Int, starts: [Int]) -> [UInt8] {
            var result = values
            for start in starts {
                // How far away the last hole is, from both ends.
                var distance = Int.max
                for place in Array(0..<count) {
                    distance = values[start + place * step] == 0 ? 0 : distance == .max ? .max : distance + 1
                    if distance <= reach { result[start + place * step] = 0 }
                }
                distance = .max
                for place in (0..<count).reversed() {
                    distance = values[start + place * step] == 0 ? 0 : distance == .max ? .max : distance + 1
                    if distance <= reach { result[start + place * step] = 0 }
                }
            }
            return result
        }
        let rows = spread(known, count: width, step: 1, starts: (0..<height).map { $0 * width })
        let all = spread(rows, count: height, step: width, starts: Array(0..<width))
        return PixelMask(width: width, height: height, known: all)
    }

    /// In another size of the same shape: each pixel takes the one that lies there.
    func scaled(toWidth newWidth: Int, height newHeight: Int) -> PixelMask {
        guard (newWidth, newHeight) != (width, height) else { return self }
        var result: [UInt8] = []
        result.reserveCapacity(newWidth * newHeight)
        for y in 0..<newHeight {
            for x in 0..<newWidth { result.append(known[y * height / newHeight * width + x * width / newWidth]) }
        }
        return PixelMask(width: newWidth, height: newHeight, known: result)
    }
}
