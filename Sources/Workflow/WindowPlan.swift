import InverseProblems

/// Which frames of a video are restored together, and which of them are kept. Pure: the same on every machine.
///
///     let plan = WindowPlan(frameCount: 100, cuts: [40], rules: .init(window: 25, context: 4))
///     plan.windows[1].kept   // 20..<40
///     plan.windows[1].batch  // 16..<40
public struct WindowPlan: Sendable, Equatable, Codable {
    /// What decides about windows beside the video.
    public struct Rules: Sendable, Equatable, Codable {
        /// Frames that are kept of a window, at most; 1 or more.
        public var window: Int
        /// Frames beside them, within the scene, that are restored with them.
        public var context = 0
        /// Frames on each side of an edge over which two windows' frames are faded into each other; at most the context.
        public var fade = 0
        /// The video was degraded in stretches of so many frames, each on its own; nil for a film.
        public var stretch: Int?
        /// Where the frames begin in the file, and how many that has; nil for one that ends with them.
        public var offset = 0
        public var fileFrames: Int?
        /// Whether windows are as long as they may be, the last one of a scene excepted. Otherwise those of a scene are about equally long.
        public var isExact = false
        /// Whether the windows of a scene share its inverted start.
        public var sharesStart = true
        /// Frames of a window's result beyond those that were measured.
        public var surplus = 0

        public init(window: Int, context: Int = 0, fade: Int = 0) {
            (self.window, self.context, self.fade) = (window, context, fade)
        }
    }

    /// Frames that are restored together.
    public struct Window: Sendable, Equatable, Codable {
        /// The number of its scene, from 0.
        public var scene: Int
        /// Measured frames whose restored ones are kept, counted from the first frame that is restored at all.
        public var kept: Range<Int>
        /// All that are restored together: those and their context.
        public var batch: Range<Int>
        /// Frames before the first kept one that are faded with those of the window before, and as many behind it; 0 for none.
        public var fadeBefore = 0
        /// The same at the last kept one.
        public var fadeAfter = 0
        /// The ends of the batch at which the measured video goes on.
        public var openEnds: OpenEnds = []
    }

    public let frameCount: Int
    public let rules: Rules
    public let scenes: [Range<Int>]
    public let windows: [Window]

    /// - Parameters:
    ///   - frameCount: 0 or more.
    ///   - cuts: the first frames of scenes; those outside the video say nothing.
    public init(frameCount: Int, cuts: [Int] = [], rules: Rules) {
        let size = max(rules.window, 1)
        self.frameCount = max(frameCount, 0)
        self.rules = rules
        let stretch = rules.stretch.map { max($0, 1) } ?? .max
        var starts = Set(cuts.filter { $0 > 0 && $0 < frameCount })
        if stretch < frameCount + rules.offset {
            starts.formUnion(Swift.stride(from: stretch - rules.offset % stretch, to: frameCount, by: stretch))
        }
        let bounds = [0] + starts.sorted() + [max(frameCount, 0)]
        scenes = zip(bounds, bounds.dropFirst()).map { $0..<$1 }.filter { !$0.isEmpty }
        var windows: [Window] = []
        for (number, scene) in scenes.enumerated() {
            let parts = Self.parts(of: scene, size: size, isExact: rules.isExact)
            for (index, kept) in parts.enumerated() {
                // What is faded at one edge is not faded at the next.
                func fade(with neighbour: Int) -> Int {
                    guard parts.indices.contains(neighbour) else { return 0 }
                    return max(0, min(rules.fade, rules.context, kept.count / 2, parts[neighbour].count / 2))
                }
                let room = max(rules.context, 0)
                let batch =
                    max(scene.lowerBound, kept.lowerBound - min(room, kept.lowerBound))..<kept.upperBound
                    + min(room, scene.upperBound - kept.upperBound)
                var window = Window(scene: number, kept: kept, batch: batch)
                (window.fadeBefore, window.fadeAfter) = (fade(with: index - 1), fade(with: index + 1))
                // A part of a file has its neighbours, too.
                let (first, end) = (rules.offset + batch.lowerBound, rules.offset + batch.upperBound)
                if first % stretch != 0 { window.openEnds.insert(.before) }
                if end % stretch != 0, end != rules.fileFrames ?? (rules.offset + frameCount) {
                    window.openEnds.insert(.after)
                }
                windows.append(window)
            }
        }
        self.windows = windows
    }

    private static func parts(of scene: Range<Int>, size: Int, isExact: Bool) -> [Range<Int>] {
        let count = scene.count / size + (scene.count % size == 0 ? 0 : 1)
        return (0..<count).map { index in
            isExact
                ? scene.lowerBound + index
                    * size..<min(scene.upperBound, scene.lowerBound + index * size + min(size, scene.count))
                : scene.lowerBound + index * scene.count / count..<scene.lowerBound + (index + 1) * scene.count / count
        }
    }

    /// Frames of the largest batch, 1 at least.
    public var longest: Int { windows.map(\.batch.count).max() ?? 1 }

    /// Frames of all batches: what there is to do.
    public var batchFrames: Int { windows.reduce(0) { $0 + $1.batch.count } }

    /// Frames of the result.
    public var resultCount: Int { frameCount + rules.surplus * windows.count }

    /// The frames of the result that a window stands for.
    public func results(of index: Int) -> Range<Int> {
        let kept = windows[index].kept
        return kept.lowerBound + rules.surplus * index..<kept.upperBound + rules.surplus * (index + 1)
    }

    /// The first window of a scene.
    public func firstWindow(ofScene scene: Int) -> Int { windows.firstIndex { $0.scene == scene } ?? 0 }

    /// Whether a scene has more than one window.
    public func isDivided(_ scene: Int) -> Bool { windows.count { $0.scene == scene } > 1 }
}
