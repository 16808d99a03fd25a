import Foundation
import InverseProblems
import TensorKit
import VideoIO

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
        if let whole = measured?.whole, let part = measured?.info,
            own.info.width != whole.width || own.info.height != whole.height,
            own.info.width != part.width || own.info.height != part.height
        {
            // Of another size nobody could tell whether it is the whole frame's or the part's.
            throw WorkflowError.message(
                "The mask \(path) has \(own.info.width)x\(own.info.height) pixels; with --crop it must have the whole frame's size "
                    + "(\(whole.width)x\(whole.height)) or the part's (\(part.width)x\(part.height)).")
        }
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
