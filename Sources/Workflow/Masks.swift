import Foundation
import InverseProblems
import TensorKit
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

/// The mask that a stage names: one picture for all frames, or a film or a folder with one for each.
actor MaskFile {
    nonisolated let path: String
    /// Frames of a film; nil for one picture.
    nonisolated let frameCount: Int?
    /// What a person should know of it.
    nonisolated let notes: [String]
    private let holes: Holes
    private let width: Int
    private let height: Int
    private let kind: MaskKind
    private let reader: VideoReader
    private let still: PixelMask
    // The film goes on from where it is; what was read last is kept for windows that overlap.
    private var film: Source
    private var position = 0
    private var recent: [Int: PixelMask] = [:]

    /// How many frames are looked at before the work.
    private static let look = 250

    /// - Parameters:
    ///   - height: of the frames that the mask is for, likewise `width`.
    ///   - frames: of the measured video; nil where nobody knows.
    /// - Throws: `WorkflowError` for a mask without holes, without known pixels, or of another shape; `VideoError`.
    init(
        _ holes: Holes, height: Int, width: Int, frames: Int?, cropping measured: VideoReader? = nil
    ) async throws {
        let path = holes.file ?? ""
        (self.holes, self.path, self.width, self.height) = (holes, path, width, height)
        let own = try await VideoReader(path, countFrames: true)
        reader = try measured.map { try $0.croppedAlike(own) } ?? own
        let info = reader.info
        guard info.width * height == info.height * width else {
            throw WorkflowError.message(
                "The mask \(path) has \(info.width)x\(info.height) pixels and the measurement \(width)x\(height); "
                    + "it must have the measurement's size, or its shape in another size.")
        }
        let isFilm = info.frameCount.map { $0 > 1 } ?? true
        if isFilm, let own = info.frameCount, let frames, own != frames {
            throw WorkflowError.message(
                "The mask \(path) has \(own) frames and the measurement \(frames); give one mask for each frame, or one "
                    + "picture for all.")
        }
        frameCount = isFilm ? info.frameCount ?? frames : nil
        // A look at the first of them says what marks the known pixels; another one how many there are.
        var look = MaskLook()
        var first: MaskFrame?
        var source = Source(reader)
        for _ in 0..<(isFilm ? 25 : 1) {
            guard let picture = try await source.next() else { break }
            look.add(picture)
            first = first ?? picture
        }
        guard let first else { throw WorkflowError.message("The mask \(path) holds no picture.") }
        kind = look.kind
        var (missing, total, looked) = (0, 0, 0)
        source = Source(reader)
        while looked < (isFilm ? Self.look : 1), let picture = try await source.next() {
            let mask = Self.mask(picture, look.kind, holes, width: width, height: height)
            missing += mask.holes
            total += mask.known.count
            looked += 1
        }
        still = Self.mask(first, kind, holes, width: width, height: height)
        let isWhole = !isFilm || looked < Self.look
        if isWhole, missing == 0 {
            throw WorkflowError.message(
                "The mask \(path) has no holes: white is known and black is missing, so there is nothing to fill. If white "
                    + "means missing, say --mask-inverted; else leave --mask out.")
        }
        if isWhole, missing == total {
            throw WorkflowError.message(
                "By the mask \(path) no pixel is known: white is known and black is missing. If white means missing, say "
                    + "--mask-inverted.")
        }
        let part = Double(missing) / Double(max(total, 1))
        var notes = [
            "\(Self.percent(part)) of the pixels are holes (\(path)\(isWhole ? "" : ", its first \(looked) frames"))."
        ]
        if part > 0.5, !(holes.inverted ?? false) {
            notes[0] += " If that is the wrong way round, say --mask-inverted."
        }
        if info.width != width {
            notes.append("The mask \(path) of \(info.width)x\(info.height) pixels is enlarged to \(width)x\(height).")
        }
        self.notes = notes
        film = Source(reader)
    }

    /// The pictures of a mask, one after the other.
    private struct Source {
        private var colours: FrameSequence.Iterator
        private var opacity: FrameSequence.Iterator?

        init(_ reader: VideoReader) {
            colours = reader.frames().makeAsyncIterator()
            opacity = reader.opacity?.frames().makeAsyncIterator()
        }

        mutating func next() async throws -> MaskFrame? {
            guard let frame = try await colours.next() else { return nil }
            return MaskFrame(frame, opacity: try await opacity?.next())
        }
    }

    /// "0.5 %", "12 %".
    private static func percent(_ part: Double) -> String {
        part < 0.1 ? String(format: "%.1f %%", part * 100) : "\(Int((part * 100).rounded())) %"
    }

    private static func mask(
        _ frame: MaskFrame, _ kind: MaskKind, _ holes: Holes, width: Int, height: Int
    ) -> PixelMask {
        let mask = PixelMask(
            width: frame.width, height: frame.height, known: frame.known(kind, inverted: holes.inverted ?? false))
        return mask.scaled(toWidth: width, height: height).grown(by: holes.grow ?? 0)
    }

    /// The first one, (H, W): what plans are made with.
    func first() throws -> Tensor { try Tensor(still.known, shape: [height, width]).to(.float32) }

    /// (N, 1, H, W) for measured frames of a range; of one picture (H, W).
    /// - Throws: `WorkflowError` where the film ends too early.
    func masks(_ frames: Range<Int>) async throws -> Tensor {
        guard frameCount != nil else { return try first() }
        let isBehind = (frames.lowerBound..<max(frames.lowerBound, min(position, frames.upperBound)))
            .contains { recent[$0] == nil }
        if isBehind { (film, position, recent) = (Source(reader), 0, [:]) }
        while position < frames.upperBound {
            var source = film
            let next = try await source.next()
            film = source
            guard let next else {
                throw WorkflowError.message(
                    "The mask \(path) ends after \(position) frames, and the measurement goes on; give one mask for each "
                        + "frame.")
            }
            // What lies far behind is not asked for again.
            if position >= frames.lowerBound {
                recent[position] = Self.mask(next, kind, holes, width: width, height: height)
            }
            position += 1
        }
        recent = recent.filter { $0.key >= frames.lowerBound }
        let values = frames.flatMap { recent[$0]?.known ?? [] }
        return try Tensor(values, shape: [frames.count, 1, height, width]).to(.float32)
    }
}

/// All masks that a problem names.
struct MaskFiles: Sendable {
    private let files: [MaskFile]

    /// - Parameters:
    ///   - height: of the full frames, likewise `width`.
    ///   - frames: of the measured video; nil where nobody knows.
    ///   - reader: of the measurement, where a part of it is seen: masks of whole frames are cropped with it.
    init(
        _ problem: Problem, height: Int, width: Int, frames: Int?, cropping reader: VideoReader? = nil
    ) async throws {
        var files: [MaskFile] = []
        let sizes = try await onThread { _ in try problem.fileSizes(height: height, width: width) }
        for size in sizes {
            guard let holes = problem.stages.lazy.compactMap({ $0 as? Holes }).first(where: { $0.file == size.path })
            else { continue }
            files.append(
                try await MaskFile(holes, height: size.height, width: size.width, frames: frames, cropping: reader))
        }
        self.files = files
    }

    /// Whether one of them differs from frame to frame.
    var isFilm: Bool { files.contains { $0.frameCount != nil } }
    var notes: [String] { files.flatMap(\.notes) }

    /// What plans are made with, by path.
    func first() async throws -> [String: Tensor] {
        var result: [String: Tensor] = [:]
        for file in files { result[file.path] = try await file.first() }
        return result
    }

    /// For measured frames of a range, by path.
    func masks(_ frames: Range<Int>) async throws -> [String: Tensor] {
        var result: [String: Tensor] = [:]
        for file in files { result[file.path] = try await file.masks(frames) }
        return result
    }
}
