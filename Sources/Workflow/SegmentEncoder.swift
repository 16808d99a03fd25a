import Foundation
import VideoIO

/// Encodes what is finished of a work folder, segment by segment, while windows are made.
struct SegmentEncoder: Sendable {
    let folder: WorkFolder
    let video: VideoSegments
    private var plan: WindowPlan { folder.plan }

    init(_ folder: WorkFolder, _ video: VideoSegments) { (self.folder, self.video) = (folder, video) }

    /// The frames of each segment of a plan.
    static func frames(_ plan: WindowPlan, _ segments: [Range<Int>]) -> [Range<Int>] {
        segments.map { plan.results(of: $0.lowerBound).lowerBound..<plan.results(of: $0.upperBound - 1).upperBound }
    }

    /// The number of the first segment that is not encoded.
    var firstMissing: Int {
        folder.segments.indices.first { !isDone($0) } ?? folder.segments.count
    }

    func isDone(_ segment: Int) -> Bool { folder.hasSegment(segment, ending: video.ending) }

    /// Whether all windows of a segment are finished.
    func isReady(_ segment: Int) -> Bool {
        plan.sources(of: folder.segments[segment]).allSatisfy(folder.hasWindow)
    }

    /// The windows that are still to be made: those of segments that are not encoded.
    var missingWindows: [Int] {
        let wanted = Set(
            folder.segments.indices.filter { !isDone($0) }.flatMap { plan.sources(of: folder.segments[$0]) })
        return wanted.sorted().filter { !folder.hasWindow($0) }
    }

    /// Encodes a segment, which no segment before it may miss, and takes away the windows that nobody needs any more.
    func encode(_ segment: Int) async throws {
        let windows = folder.segments[segment]
        let writer = try await video.writer(segment, to: folder.segmentPath(segment, ending: video.ending))
        do {
            for index in windows { try await append(index, to: writer) }
            try await writer.finish()
        } catch {
            await writer.cancel()
            throw error
        }
        try folder.noteSegment(segment)
        removeSpent(behind: segment)
    }

    /// The same behind a segment that was encoded. Segments are encoded in order, so that what lies before the next one's
    /// windows is spent: a few files, however long the video is.
    private func removeSpent(behind segment: Int) {
        let windows = plan.sources(of: folder.segments[segment])
        let next = folder.segments.indices.dropFirst(segment + 1).first { !isDone($0) }
        let needed = next.map { plan.sources(of: folder.segments[$0]).lowerBound } ?? plan.windows.count
        for index in windows where index < needed { folder.removeWindow(index) }
        let end = plan.windows.indices.contains(needed) ? plan.windows[needed].scene : plan.scenes.count
        for scene in plan.windows[windows.lowerBound].scene..<end { folder.removeScene(scene) }
    }

    /// Takes away the windows of which every segment is encoded.
    func removeSpent() {
        let needed = Set(
            folder.segments.indices.filter { !isDone($0) }.flatMap { plan.sources(of: folder.segments[$0]) })
        for index in plan.windows.indices where !needed.contains(index) && folder.hasWindow(index) {
            folder.removeWindow(index)
        }
        // What the windows of a scene have in common goes when the last of them is encoded.
        let scenes = Set(needed.map { plan.windows[$0].scene })
        for scene in plan.scenes.indices where !scenes.contains(scene) && folder.hasScene(scene) {
            folder.removeScene(scene)
        }
    }

    /// A window's own frames, its ends faded with the windows beside it.
    private func append(_ index: Int, to writer: VideoWriter) async throws {
        let window = plan.windows[index]
        let frames = try folder.window(index)
        guard frames.count == plan.stored(window) else {
            throw WorkflowError.message(
                "\(folder.path) has a window of \(frames.count) frames instead of \(plan.stored(window)); begin anew with --restart."
            )
        }
        var others: [Int: WindowFrames] = [index: frames]
        if window.fadeBefore > 0 { others[index - 1] = try folder.window(index - 1) }
        if window.fadeAfter > 0 { others[index + 1] = try folder.window(index + 1) }
        for place in 0..<window.kept.count + plan.rules.surplus {
            let frame = try plan.faded(index, place) { others[$0] ?? frames }
            try await writer.append(frame.bitDepth == writer.bitDepth ? frame : frame.reducedTo8Bits())
        }
    }

    /// Joins the segments.
    func join() async throws {
        try await video.join(folder.segments.indices.map { folder.segmentPath($0, ending: video.ending) })
    }
}

/// Frames of a window, those beyond its edges that are faded included.
protocol StoredFrames {
    var count: Int { get }
    subscript(index: Int) -> VideoFrame { get throws }
}

extension WindowFrames: StoredFrames {}
extension [VideoFrame]: StoredFrames {}

extension WindowPlan {
    /// A frame of the result, faded at the ends of a window with the windows beside it.
    /// - Parameters:
    ///   - place: among the window's own frames, from 0.
    ///   - stored: what is stored of a window and of those beside it, in 16 bits.
    func faded(_ index: Int, _ place: Int, _ stored: (Int) throws -> some StoredFrames) throws -> VideoFrame {
        let (window, frames) = (windows[index], try stored(index))
        let count = window.kept.count + rules.surplus
        let frame = try frames[window.fadeBefore + place]
        if place < window.fadeBefore {
            // The last frames of the window before are those around the edge.
            let before = try stored(index - 1)
            let other = try before[before.count - window.fadeBefore + place]
            return try frame.faded(into: other, share: Self.fadedShare(place, of: window.fadeBefore))
        }
        let behind = count - 1 - place
        guard behind < window.fadeAfter else { return frame }
        let other = try stored(index + 1)[window.fadeAfter - 1 - behind]
        return try frame.faded(into: other, share: Self.fadedShare(behind, of: window.fadeAfter))
    }

    /// - Parameter place: from the first frame of the window that is faded, 0, to the edge, `count` - 1.
    private static func fadedShare(_ place: Int, of count: Int) -> Double {
        blend(0.5 - (Double(place) + 0.5) / Double(2 * count))
    }

    /// How much of a window is taken on the way from its end, 0, to where the other one ends, 1: little near its own end, where frames are worse.
    package static func blend(_ way: Double) -> Double { way * way * way * (10 + way * (6 * way - 15)) }
}

extension VideoFrame {
    /// A mean with another frame of 16 bits.
    /// - Parameter share: of the other one.
    func faded(into other: VideoFrame, share: Double) throws -> VideoFrame {
        guard case .sixteenBit(let a) = pixels, case .sixteenBit(let b) = other.pixels, a.count == b.count else {
            throw VideoError.badFrame("frames of other sizes cannot be faded into each other")
        }
        // In whole numbers, the same everywhere.
        let weight = Int32((share * 4096).rounded())
        let values = [UInt16](unsafeUninitializedCapacity: a.count) { target, initialized in
            a.withUnsafeBufferPointer { a in
                b.withUnsafeBufferPointer { b in
                    for place in 0..<a.count {
                        let sum = Int32(a[place]) * (4096 - weight) + Int32(b[place]) * weight + 2048
                        target[place] = UInt16(truncatingIfNeeded: sum >> 12)
                    }
                }
            }
            initialized = a.count
        }
        return try VideoFrame(width: width, height: height, pixels: .sixteenBit(values))
    }

    /// Each component rounded to 0 ... 255.
    func reducedTo8Bits() throws -> VideoFrame {
        guard case .sixteenBit(let values) = pixels else { return self }
        let reduced = [UInt8](unsafeUninitializedCapacity: values.count) { target, initialized in
            values.withUnsafeBufferPointer { values in
                for place in 0..<values.count { target[place] = UInt8((UInt32(values[place]) * 255 + 32767) / 65535) }
            }
            initialized = values.count
        }
        return try VideoFrame(width: width, height: height, pixels: .eightBit(reduced))
    }
}
