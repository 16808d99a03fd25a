import Foundation
import InverseProblems
import TestSupport
import Testing
import VideoIO
import VisionXL

@testable import Workflow

/// Laws of window plans, and what a file comes to.
@Suite struct WindowPlanTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var frames: Int
        var cuts: [Int] = []
        var window: Int
        var context = 0
        var fade = 0
        var stretch: Int?
        var isExact = false
        var testDescription: String {
            "\(frames) frames, cuts \(cuts), \(window) + \(context), \(stretch ?? 0), \(isExact)"
        }

        var plan: WindowPlan {
            var rules = WindowPlan.Rules(window: window, context: context, fade: fade)
            (rules.stretch, rules.isExact) = (stretch, isExact)
            return WindowPlan(frameCount: frames, cuts: cuts, rules: rules)
        }
    }

    static let cases = [
        Case(frames: 1, window: 1), Case(frames: 25, window: 25, context: 4, fade: 4),
        Case(frames: 26, window: 25, context: 4, fade: 4), Case(frames: 100, window: 7, context: 3, fade: 2),
        Case(frames: 100, cuts: [1, 2, 50, 51], window: 25, context: 4, fade: 4),
        Case(frames: 10, cuts: [0, 10, 12, -3], window: 4, context: 100, fade: 100),
        Case(frames: 60, cuts: [30], window: 8, context: 4, fade: 4, stretch: 20),
        Case(frames: 60, window: 25, stretch: 200), Case(frames: 17, window: 8, isExact: true),
        Case(frames: 3, window: .max, context: .max, fade: .max), Case(frames: 40, window: 1, context: 9, fade: 9),
        Case(frames: 0, window: 3), Case(frames: 9, cuts: [4], window: 3, stretch: .max, isExact: true),
    ]

    @Test(arguments: cases) func everyFrameIsKeptOnce(asked: Case) {
        let plan = asked.plan
        #expect(plan.windows.flatMap { Array($0.kept) } == Array(0..<asked.frames))
        #expect(plan.scenes.flatMap { Array($0) } == Array(0..<asked.frames))
        #expect(plan.windows.allSatisfy { !$0.kept.isEmpty && $0.kept.count <= asked.window })
        #expect(plan.longest == max(1, plan.windows.map(\.batch.count).max() ?? 1))
        #expect(plan.batchFrames == plan.windows.map(\.batch.count).reduce(0, +))
    }

    @Test(arguments: cases) func noWindowStraddlesACut(asked: Case) {
        let plan = asked.plan
        for window in plan.windows {
            let scene = plan.scenes[window.scene]
            #expect(scene.contains(window.batch.lowerBound) && window.batch.upperBound <= scene.upperBound)
            #expect(
                window.batch.lowerBound <= window.kept.lowerBound && window.kept.upperBound <= window.batch.upperBound)
            #expect(window.kept.lowerBound - window.batch.lowerBound <= asked.context)
            // All the context that the scene has.
            #expect(window.batch.lowerBound == max(scene.lowerBound, window.kept.lowerBound - min(asked.context, 1000)))
            #expect(window.batch.upperBound == min(scene.upperBound, window.kept.upperBound + min(asked.context, 1000)))
        }
        for cut in asked.cuts where cut > 0 && cut < asked.frames {
            #expect(plan.windows.allSatisfy { !($0.batch.contains(cut) && $0.batch.lowerBound < cut) })
        }
    }

    /// Two windows fade over the same frames, no frame is faded twice, and nothing is faded at a cut.
    @Test(arguments: cases) func fadesAgree(asked: Case) {
        let plan = asked.plan
        for (left, right) in zip(plan.windows, plan.windows.dropFirst()) {
            #expect(left.fadeAfter == right.fadeBefore && left.fadeAfter <= min(asked.fade, asked.context))
            if left.scene != right.scene { #expect(left.fadeAfter == 0) }
            #expect(left.kept.upperBound + left.fadeAfter <= left.batch.upperBound)
            #expect(right.kept.lowerBound - right.fadeBefore >= right.batch.lowerBound)
        }
        for window in plan.windows { #expect(window.fadeBefore + window.fadeAfter <= window.kept.count) }
        #expect(plan.windows.first?.fadeBefore ?? 0 == 0 && plan.windows.last?.fadeAfter ?? 0 == 0)
    }

    @Test(arguments: cases) func segmentsAreAPartition(asked: Case) {
        let plan = asked.plan
        for bytes in [1, 1_000_000, 10_000_000, 1_000_000_000] {
            let segments = plan.segments(frameBytes: bytes)
            #expect(segments.flatMap { Array($0) } == Array(plan.windows.indices))
            for segment in segments {
                let sources = plan.sources(of: segment)
                #expect(sources.contains(segment.lowerBound) && plan.windows.indices.contains(sources.lowerBound))
                #expect(sources.upperBound <= plan.windows.count)
            }
        }
    }

    /// A long film needs no more of the disk than eight windows, or two gigabytes.
    @Test func theFolderStaysSmall() {
        let plan = Case(frames: 200_000, cuts: [7, 8, 90_000], window: 25, context: 4, fade: 4).plan
        let longest = plan.windows.map(plan.stored).max() ?? 0
        for (height, width) in [(360, 640), (720, 1280), (1080, 1920)] {
            let bytes = height * width * 6
            let segments = plan.segments(frameBytes: bytes)
            let most = plan.mostStored(segments)
            #expect(most <= 8 * longest)
            #expect(most * bytes <= max(WindowPlan.mostBytes, 4 * longest * bytes))
        }
    }

    @Test func windowsOfASceneAreAlikeInLength() {
        #expect(Case(frames: 26, window: 25).plan.windows.map(\.kept.count) == [13, 13])
        #expect(Case(frames: 26, window: 25, isExact: true).plan.windows.map(\.kept.count) == [25, 1])
        #expect(Case(frames: 60, cuts: [10], window: 20).plan.windows.map(\.kept.count) == [10, 16, 17, 17])
    }

    /// Only the ends of what was degraded together have a border.
    @Test func openEnds() {
        let film = Case(frames: 60, cuts: [20], window: 10, context: 2).plan
        #expect(film.windows.first?.openEnds == .after && film.windows.last?.openEnds == .before)
        #expect(film.windows.dropFirst().dropLast().allSatisfy { $0.openEnds == .both })
        let stretches = Case(frames: 60, window: 10, context: 2, stretch: 20).plan
        #expect(stretches.windows.map(\.openEnds) == [.after, .before, .after, .before, .after, .before])
        #expect(Case(frames: 9, window: 25).plan.windows.map(\.openEnds) == [[]])
    }

    @Test func aPlanSurvivesAFile() throws {
        for asked in Self.cases {
            let plan = asked.plan
            #expect(try JSONDecoder().decode(WindowPlan.self, from: JSONEncoder().encode(plan)) == plan)
        }
    }
}

@Suite struct SceneListTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder("scenes") }

    private func list(_ text: String) throws -> [Int] {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.file("list")))
        return try SceneList.read(folder.file("list"))
    }

    @Test func linesCountFromZero() throws {
        #expect(try list("0\n12\n40\n") == [0, 12, 40])
        #expect(try list("12\r\n\r\n40") == [12, 40])
        #expect(try list("") == [])
    }

    @Test func theCSVOfPySceneDetectCountsFromOne() throws {
        let table = """
            Timecode List:,00:00:00.480,00:00:01.600
            Scene Number,Start Frame,Start Timecode,Start Time (seconds),End Frame,End Timecode
            1,1,00:00:00.000,0.000,12,00:00:00.480
            2,13,00:00:00.480,0.480,40,00:00:01.600
            3,41,00:00:01.600,1.600,50,00:00:02.000
            """
        #expect(try list(table) == [0, 12, 40])
        #expect(try list(table.split(separator: "\n").dropFirst().joined(separator: "\n")) == [0, 12, 40])
    }

    @Test(arguments: ["a\n", "3\n3\n", "9\n4\n", "-1\n", "1.5\n", "Scene Number,Start Frame\n1,0\n"])
    func whatIsNoListIsOneSentence(text: String) throws {
        let error = #expect(throws: WorkflowError.self) { try list(text) }
        let sentence = try #require(error).description
        #expect(sentence.hasPrefix("--scenes ") && sentence.hasSuffix(".") && !sentence.contains("\n"), "\(sentence)")
    }

    @Test func aMissingListIsSaid() { #expect(throws: WorkflowError.self) { try SceneList.read("/nowhere/list") } }
}

/// Frames that are kept of a batch, by what the problem's average does at its ends.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct KeptFramesTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder("kept") }

    private func video(
        _ problem: Problem, window: Int, context: Int = 2, frames: Int = 20, change: (inout Recipe) -> Void = { _ in }
    ) async throws -> (video: MeasuredVideo, plan: WindowPlan) {
        let path = folder.file("clip.mkv")
        if !FileManager.default.fileExists(atPath: path) {
            let writer = try await VideoWriter(to: path, width: 16, height: 12, bitDepth: 8, frameRate: .fps25)
            let black = try VideoFrame(width: 16, height: 12, pixels: .eightBit([UInt8](repeating: 0, count: 576)))
            for _ in 0..<frames { try await writer.append(black) }
            try await writer.finish()
        }
        var recipe = Recipe(input: path, output: folder.file("out.mkv"), problem: problem)
        (recipe.window, recipe.context) = (window, context)
        change(&recipe)
        let video = try await MeasuredVideo(recipe)
        return (video, video.plan(frameCount: frames, cuts: []))
    }

    @Test func openAverages() async throws {
        let (video, plan) = try await video(Problem(Average(frames: 5, boundary: .open)), window: 10)
        #expect(video.looksForScenes && plan.rules.sharesStart)
        #expect(plan.windows.map(\.batch) == [0..<12, 8..<20])
        // Two frames before the first measured one, which are restored and thrown away.
        #expect(try plan.windows.map(video.kept(of:)) == [2..<14, 2..<14])
        for window in plan.windows {
            #expect(try await video.operator(of: window).inputShape(for: [12, 3, 12, 16])[0] == 16)
        }
    }

    @Test func replicatedEnds() async throws {
        let (video, plan) = try await video(Problem(Average(frames: 5, boundary: .replicate)), window: 8)
        #expect(plan.windows.map(\.kept) == [0..<6, 6..<13, 13..<20])
        // The film's first and last frame are repeated, an end inside of it goes on.
        var counts: [Int] = []
        for window in plan.windows {
            counts.append(try await video.operator(of: window).inputShape(for: [8, 3, 12, 16])[0])
        }
        #expect(counts == [10, 12, 10])
        #expect(try plan.windows.map(video.kept(of:)) == [0..<8, 2..<13, 2..<11])
    }

    @Test func circlesAndThePaperStandAlone() async throws {
        for (problem, options) in [
            (Problem(Average(frames: 5)), RestorationOptions()),
            (Problem(Average(frames: 5, boundary: .valid)), RestorationOptions()), (Problem(Blur(sigma: 1)), .paper),
        ] {
            let (video, plan) = try await video(problem, window: 8) { $0.options = options }
            #expect(plan.windows.allSatisfy { $0.batch == $0.kept } && !plan.rules.sharesStart)
            #expect(video.context.value == 0 && video.context.reason.hasSuffix("."))
        }
        let (paper, _) = try await video(Problem(Blur(sigma: 1)), window: 8) { $0.options = .paper }
        #expect(paper.looksForScenes)
    }

    /// As far as a measured frame reaches, four at least.
    @Test func contextFollowsTheReach() async throws {
        #expect(try await video(Problem(Blur(sigma: 1)), window: 8) { $0.context = nil }.video.context.value == 4)
        let wide = Problem(Average(frames: 21, boundary: .open))
        #expect(try await video(wide, window: 8) { $0.context = nil }.video.context.value == 20)
        #expect(try await video(wide, window: 8, context: 1).video.context.value == 1)
    }

    @Test func scenesAreListedFromTheFirstFrameThatIsRestored() async throws {
        try Data("0\n6\n15\n".utf8).write(to: URL(fileURLWithPath: folder.file("list")))
        let list = SceneChoice.file(folder.file("list"))
        let (video, _) = try await video(Problem(Blur(sigma: 1)), window: 8) {
            ($0.scenes, $0.frames) = (list, FrameRange("4:18"))
        }
        #expect(!video.looksForScenes)
        #expect(video.plan(frameCount: 14, cuts: try video.listedCuts()).scenes == [0..<2, 2..<11, 11..<14])
    }
}
