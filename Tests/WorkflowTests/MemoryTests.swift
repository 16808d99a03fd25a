import Foundation
import LatentDiffusion
import TensorKit
import TestSupport
import Testing
import VisionXL

@testable import Workflow

/// Plans from the memory that there is.
@Suite struct MemoryPlanTests {
    /// A small model of SDXL's structure: its headers are all that is read.
    static let memory = Result { () throws -> ModelMemory in
        let folder = try TemporaryFolder()
        var architecture = StableDiffusionXL.tiny
        architecture.autoencoderChannels = [64, 128, 128, 128]
        let url = URL(fileURLWithPath: folder.file("model"))
        try RandomModel(architecture, seed: 1).write(to: url)
        return try ModelMemory(at: url)
    }

    static func plan(
        _ budget: Int?, frames: Int = 5, framesPerPass: Int? = nil, hasGuidance: Bool = false, device: Device = .cuda(0)
    ) throws -> MemoryPlan {
        MemoryPlan(
            model: try memory.get(), device: device, budget: budget, frames: frames, height: 768, width: 1280,
            hasGuidance: hasGuidance, framesPerPass: framesPerPass)
    }

    @Test func withoutALimitTheDeviceIsKeptBusy() throws {
        let plan = try Self.plan(nil)
        #expect(plan.passes == PassSizes(frames: 4) && plan.fits)
        #expect(try Self.plan(nil, frames: 2).passes == PassSizes(frames: 2))
        // A Mac's GPU shares the memory of everything else.
        #expect(try Self.plan(nil, device: .mps).passes == PassSizes(frames: 1))
    }

    /// Less memory never means larger passes, and whatever is said to fit is within the budget.
    @Test func plansShrinkWithTheBudget() throws {
        var last = Int.max
        var seen: Set<String> = []
        for budget in stride(from: 40_000_000_000, to: 1_000_000_000, by: -250_000_000) {
            let plan = try Self.plan(budget)
            #expect(!plan.fits || plan.total <= budget)
            #expect(plan.pass <= last)
            last = plan.pass
            if plan.fits { seen.insert(plan.passes.description) }
        }
        #expect(seen.contains("4 frames a pass"))
        #expect(seen.contains { $0.contains("decoding 1 in tiles of") })
        #expect(try !Self.plan(1_000_000_000).fits)
    }

    /// CUDA's kernels count elements in 32 bits: no map may have 2^31, however large the memory.
    @Test func mapsStayCountable() throws {
        let folder = try TemporaryFolder()
        var architecture = StableDiffusionXL.tiny
        architecture.autoencoderChannels = [128, 256, 512, 512]
        let url = URL(fileURLWithPath: folder.file("model"))
        try RandomModel(architecture, seed: 1).write(to: url)
        func passes(_ device: Device, _ height: Int, _ width: Int) throws -> PassSizes {
            let model = try ModelMemory(at: url, dtype: .bfloat16, device: device)
            return MemoryPlan(model: model, device: device, budget: nil, frames: 4, height: height, width: width).passes
        }
        // 256 channels at the frames' size: 4 x 256 x 1088 x 1920 is just below.
        #expect(try passes(.cuda(0), 1088, 1920) == PassSizes(frames: 4))
        let larger = try passes(.cuda(0), 1280, 2048)
        #expect(larger.decoding == 3 && larger.encoding == 4 && larger.prediction == 4 && larger.decodingTile == nil)
        let largest = try passes(.cuda(0), 2560, 4096)
        #expect(largest.decoding == 1 && largest.decodingTile == 1024 && largest.encodingTile == nil)
        #expect(try passes(.cpu, 2560, 4096).decodingTile == nil)
    }

    @Test func framesPerPassAreKept() throws {
        #expect(try Self.plan(3_000_000_000, framesPerPass: 3).passes.prediction == 3)
        #expect(try Self.plan(nil, frames: 9, framesPerPass: 8).passes == PassSizes(frames: 8))
    }

    /// Ten times the frames in float32, and the pass alone where nothing else is different.
    @Test func thePartsAreCounted() throws {
        let (plan, longer) = (try Self.plan(nil), try Self.plan(nil, frames: 15))
        #expect(plan.video == 10 * 5 * 3 * 768 * 1280 * 4 && longer.video == 3 * plan.video)
        #expect(longer.pass == plan.pass && longer.weights == plan.weights && longer.program == plan.program)
        #expect(plan.total == plan.program + plan.weights + plan.video + plan.pass)
        #expect(try plan.weights == Self.memory.get().weightBytes)
        // Guidance predicts twice, which matters where nothing else is as large.
        func prediction(_ hasGuidance: Bool) throws -> Int {
            MemoryPlan(
                model: try Self.memory.get(), device: .cpu, budget: nil, frames: 1, height: 64, width: 64,
                hasGuidance: hasGuidance
            ).pass
        }
        #expect(try prediction(true) >= prediction(false))
        #expect(try Self.plan(nil, hasGuidance: true).pass >= plan.pass)
    }

    /// Frames to begin from are kept beside, and the network that enlarges takes its turn before the others.
    @Test func theFirstEstimateIsCounted() throws {
        func plan(extraVideos: Int = 0, enlarging: Int = 0) throws -> MemoryPlan {
            MemoryPlan(
                model: try Self.memory.get(), device: .cpu, budget: nil, frames: 5, height: 768, width: 1280,
                extraVideos: extraVideos, enlarging: enlarging)
        }
        let plain = try plan()
        #expect(try plan(extraVideos: 2).video == plain.video / 10 * 12)
        #expect(try plan(enlarging: plain.pass - 1) == plain)
        #expect(try plan(enlarging: plain.pass + 7).pass == plain.pass + 7)
        #expect(try plan(enlarging: plain.pass + 7).passes == plain.passes)
    }

    /// What the C library keeps of freed memory must have room, or it must give it back.
    @Test func aTightBudgetIsNoticed() throws {
        let needed = try Self.plan(nil, device: .cpu).total
        #expect(try !Self.plan(nil, device: .cpu).isTight)
        let exact = try Self.plan(needed, device: .cpu)
        #expect(exact.fits && exact.isTight)
        let ample = try Self.plan(needed + 400_000_000, device: .cpu)
        #expect(ample.fits && !ample.isTight && ample.passes == exact.passes)
        #expect(
            try !exact.isAmple && !Self.plan(nil, device: .cpu).isAmple && Self.plan(3 * needed, device: .cpu).isAmple)
    }

    @Test func saysWhatIsNeeded() throws {
        let text = "\(try Self.plan(nil))"
        #expect(text.hasPrefix("needs about ") && text.hasSuffix("; 4 frames a pass"))
    }
}

/// What a session makes of the memory that it may take.
@Suite struct SessionMemoryTests {
    static func session(_ memory: Int?, framesPerPass: Int? = nil) throws -> ModelSession {
        let execution = Execution(device: .cpu, memory: memory, framesPerPass: framesPerPass)
        return try ModelSession(ModelChoice("builtin", dtype: .float32), execution)
    }

    @Test func theSolversPassesAreThePlans() throws {
        let session = try Self.session(64_000_000_000)
        let plan = session.plan(frames: 9, height: 128, width: 192)
        #expect(plan.budget == 64_000_000_000 && plan.fits && plan.passes == PassSizes(frames: 4))
        #expect(try session.settledPlan(frames: 9, height: 128, width: 192) == plan)
        let solver = try session.solver(session.load(), options: .paper)
        #expect(solver.options == .paper && solver.passes == nil)
        #expect(solver.plan?(9, 128, 192) == plan.passes)
        let asked = try Self.session(nil, framesPerPass: 7)
        #expect(asked.plan(frames: 9, height: 128, width: 192).passes == PassSizes(frames: 7))
    }

    /// What was allowed is kept to, or refused in a sentence that says what to do; what is merely free is only
    /// remarked on.
    @Test func whatDoesNotFitIsRefused() throws {
        let tight = try Self.session(10_000_000)
        #expect(!tight.plan(frames: 9, height: 128, width: 192).fits)
        let error = #expect(throws: WorkflowError.self) { try tight.settledPlan(frames: 9, height: 128, width: 192) }
        let sentence = try #require(error?.description)
        #expect(sentence.contains("--memory 10.0 MB") && sentence.contains("--window, now 9"), "\(sentence)")
        let free = try Self.session(nil)
        let plan = free.plan(frames: 1_000_000, height: 768, width: 1280)
        #expect(!plan.fits)
        #expect(
            free.notes(on: plan, frames: 1_000_000).contains { $0.contains("may fail") && $0.contains("now 1000000") })
    }
}
