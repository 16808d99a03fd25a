import Evaluation
import Foundation
import InverseProblems
import Metrics
import TensorKit
import Testing
import VideoIO
import VisionXL

@Suite struct EvaluationTests {
    private func plan(_ clips: [Clip], _ tasks: [String], _ contenders: [Contender]) throws -> EvaluationPlan {
        var plan = EvaluationPlan(
            clips: clips, tasks: try tasks.map { try EvaluationTask(preset: $0) }, contenders: contenders)
        plan.size = .original
        plan.metrics = [.psnr, .ssim, .temporalError]
        return plan
    }

    @Test func everyCellIsMeasuredAndKept() async throws {
        let scratch = try Scratch()
        let probe = Probe()
        var plan = try plan(
            [try await scratch.clip("one"), try await scratch.clip("two")], ["inpaint", "average"],
            [probe.contender("adjoint")])
        plan.storages = [.float, .eightBit]
        let folder = scratch.path("results")
        let results = try await Evaluation(plan, folder: folder).run()
        #expect(results.cells.count == 8 && probe.count == 8)
        for cell in results.cells {
            #expect(cell.failure == nil)
            #expect(cell.scores[.psnr]?.perFrame.count == 4)
            #expect(cell.scores[.temporalError]?.perFrame.count == 3)
            let seconds = try #require(cell.seconds)
            #expect(seconds > 0)
        }
        // Half of the pixels are holes of grey: what is measured there is the pattern's own power.
        let holes = try #require(results.cells.first { $0.settings.task == "inpaint" }?.scores[.psnr])
        #expect(holes.mean > 8 && holes.mean < 20)
        try results.write(to: folder)
        let document = try JSONSerialization.jsonObject(
            with: Data(contentsOf: URL(fileURLWithPath: folder + "/results.json")))
        let cells = (document as? [String: Any])?["cells"] as? [[String: Any]]
        #expect(cells?.count == 8)
    }

    @Test func aSecondRunRestoresNothing() async throws {
        let scratch = try Scratch()
        let probe = Probe()
        var plan = try plan([try await scratch.clip("clip")], ["inpaint", "sr4"], [probe.contender("adjoint")])
        let folder = scratch.path("results")
        let first = try await Evaluation(plan, folder: folder).run()
        let second = try await Evaluation(plan, folder: folder).run()
        #expect(probe.count == 2)
        #expect(second.cells.map(\.scores) == first.cells.map(\.scores))
        // Another task is one cell more, another method's settings are all of its cells again.
        plan.tasks.append(try EvaluationTask(preset: "average"))
        _ = try await Evaluation(plan, folder: folder).run()
        #expect(probe.count == 3)
        plan.contenders = [probe.contender("adjoint", settings: "stronger")]
        _ = try await Evaluation(plan, folder: folder).run()
        #expect(probe.count == 6)
    }

    @Test func anInterruptedRunGoesOnWithTheNextCell() async throws {
        let scratch = try Scratch()
        let stopper = Probe { _, _ in throw CancellationError() }
        let probe = Probe()
        let clip = try await scratch.clip("clip")
        let folder = scratch.path("results")
        await #expect(throws: CancellationError.self) {
            try await Evaluation(
                plan([clip], ["inpaint"], [probe.contender("a"), stopper.contender("b")]), folder: folder
            ).run()
        }
        let results = try await Evaluation(
            plan([clip], ["inpaint"], [probe.contender("a"), probe.contender("b")]), folder: folder
        ).run()
        #expect(probe.count == 2)
        #expect(results.cells.allSatisfy { $0.failure == nil })
    }

    @Test func aMetricIsAddedFromKeptFramesWithoutRestoring() async throws {
        let scratch = try Scratch()
        let probe = Probe()
        var plan = try plan([try await scratch.clip("clip")], ["inpaint"], [probe.contender("adjoint")])
        plan.keepsFrames = true
        plan.metrics = [.psnr]
        let folder = scratch.path("results")
        let first = try await Evaluation(plan, folder: folder).run()
        #expect(first.cells[0].scores[.ssim] == nil)
        plan.metrics = [.psnr, .ssim]
        let second = try await Evaluation(plan, folder: folder).run()
        #expect(probe.count == 1)
        #expect(second.cells[0].scores[.ssim] != nil)
        #expect(second.cells[0].scores[.psnr] == first.cells[0].scores[.psnr])
    }

    @Test func aMethodThatFailsLeavesTheOthersAlone() async throws {
        let scratch = try Scratch()
        let failing = Probe { _, _ in throw Refusal() }
        let unmade = Contender(name: "unmade", settings: "") { throw Refusal() }
        let probe = Probe()
        let plan = try plan(
            [try await scratch.clip("clip")], ["inpaint"],
            [failing.contender("failing"), unmade, probe.contender("adjoint")])
        let folder = scratch.path("results")
        let results = try await Evaluation(plan, folder: folder).run()
        #expect(results.cells.map { $0.failure != nil } == [true, true, false])
        #expect(results.markdown.contains("| failing | failed |"))
        #expect(results.markdown.contains("this method never works"))
        // A failure is tried again.
        _ = try await Evaluation(plan, folder: folder).run()
        #expect(failing.count == 2 && probe.count == 1)
    }

    @Test func aPerfectResultIsInfiniteAndValidJSON() async throws {
        let scratch = try Scratch()
        var plan = try plan(
            [try await scratch.clip("black", constant: -1)], [],
            [Probe { y, _ in y }.contender("nothing"), Probe { y, _ in try y + 0.5 }.contender("grey")])
        plan.tasks = [EvaluationTask(name: "none", problem: Problem())]
        let folder = scratch.path("results")
        let results = try await Evaluation(plan, folder: folder).run()
        #expect(results.cells[0].scores[.psnr]?.mean == .infinity)
        #expect(results.cells[0].scores[.ssim]?.mean == 1)
        #expect(results.markdown.contains("| nothing | **inf** |"))
        try results.write(to: folder)
        let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/results.json"))
        #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: data) }
        #expect(String(decoding: data, as: UTF8.self).contains("\"mean\" : \"inf\""))
    }

    @Test func theReportShowsPicturesThatAreThere() async throws {
        let scratch = try Scratch()
        let plan = try plan(
            [try await scratch.clip("a <clip> & more%")], ["inpaint", "sr4+"],
            [Probe().contender("l = 1"), Probe { y, _ in y }.contender("as/it ‹is›")])
        let folder = scratch.path("results")
        try await Evaluation(plan, folder: folder).run().write(to: folder)
        let html = try String(contentsOfFile: folder + "/report.html", encoding: .utf8)
        let sources = html.matches(of: /src="([^"]+)"/).map { String($0.1) }
        // For each task the truth's two and three for each method, of which one fails on sr4+ (its frames are small).
        let expected = 2 * 2 + 3 * 3
        #expect(sources.count == expected)
        for source in sources {
            let path = try #require(source.removingPercentEncoding).replacingOccurrences(of: "&amp;", with: "&")
            #expect(FileManager.default.fileExists(atPath: folder + "/" + path), "\(path)")
        }
        #expect(!html.contains("<clip>"))
        #expect(html.contains("a &lt;clip&gt; &amp; more%"))
    }

    @Test func aFolderOfOtherThingsIsLeftAlone() async throws {
        let scratch = try Scratch()
        let clip = try await scratch.clip("clip")
        try Data("mine".utf8).write(to: scratch.folder.appendingPathComponent("notes.txt"))
        await #expect(throws: EvaluationError.foreignFolder(scratch.folder.path)) {
            try await Evaluation(plan([clip], ["inpaint"], [Probe().contender("a")]), folder: scratch.folder.path).run()
        }
    }

    @Test func clipsOfSeveralSizesAndLengthsGoTogether() async throws {
        let scratch = try Scratch()
        var plan = try plan(
            [
                try await scratch.clip("tall", frames: 2, height: 40, width: 20),
                try await scratch.clip("short", frames: 1),
            ], ["inpaint"],
            [Probe().contender("a")])
        plan.size = .fixed(width: 16, height: 16)
        plan.frameCount = 3
        let results = try await Evaluation(plan, folder: scratch.path("results")).run()
        #expect(results.cells.map(\.settings.frames) == [2, 1])
        #expect(results.cells.allSatisfy { $0.settings.height == 16 && $0.settings.width == 16 })
        // One frame has no change in time; everything else is there, and the table says why not that.
        #expect(results.cells[1].scores[.psnr] != nil)
        #expect(results.cells[1].missing[.temporalError]?.contains("1 frame") == true)
        // Nor does it take the column from the clips that have one.
        let whole = try #require(results.cells[0].scores[.temporalError]?.mean)
        let markdown = results.markdown
        #expect(markdown.contains("| inpaint temporal error ↓ |"))
        #expect(markdown.contains("| a | \(String(format: "%.4f", whole).dropFirst()) |"))
        #expect(
            markdown.contains("No temporal-error of short: ")
                && markdown.contains("The tables' mean is over the other clips."))
    }
}
