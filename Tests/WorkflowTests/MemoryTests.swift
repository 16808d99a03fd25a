import Foundation
import InverseProblems
import LatentDiffusion
import Synchronization
import TensorKit
import TestSupport
import Testing

@testable import VisionXL

/// A device whose memory takes few frames, or only tiles of them: larger passes fail with what PyTorch says.
final class CrampedPrior: DiffusionPrior {
    /// What was tried: frames and the tile's side, and whether it fitted.
    struct Attempt: Equatable {
        var frames: Int
        var tile: Int?
        var fits: Bool
    }

    private let base = BlurPrior(spread: 0.1)
    let frames: Int
    let tile: Int?
    let message: String
    let attempts = Mutex((prediction: [Attempt](), encoding: [Attempt](), decoding: [Attempt]()))

    /// - Parameters:
    ///   - frames: the most that fit.
    ///   - tile: the largest that fits; whole frames do when nil.
    init(frames: Int, tile: Int? = nil, message: String = "CUDA out of memory. Tried to allocate 2.00 GiB.") {
        (self.frames, self.tile, self.message) = (frames, tile, message)
    }

    var schedule: DDIMSchedule { base.schedule }
    var device: Device { base.device }
    var frameMultiple: Int { base.frameMultiple }
    var relativeCost: PriorCost { base.relativeCost }
    let tileSizes = [512, 256, 128]
    func latentShape(frames: Int, height: Int, width: Int) -> [Int] { base.latentShape(frames: frames, height: height, width: width) }

    private func attempt(_ count: Int, _ side: Int?, isWhole: Bool) -> Attempt {
        let fits = count <= frames && (isWhole || tile.map { (side ?? .max) <= $0 } ?? true)
        return Attempt(frames: count, tile: side, fits: fits)
    }

    private func check(_ attempt: Attempt) throws {
        guard attempt.fits else { throw TensorError.operation(name: "aten::conv2d", message: message) }
    }

    func encode(_ frames: Tensor, samplingWith noise: Tensor?) throws -> Tensor { try encode(frames, samplingWith: noise, CodecPass()) }
    func decode(_ latents: Tensor) throws -> Tensor { try decode(latents, CodecPass()) }

    func encode(_ frames: Tensor, samplingWith noise: Tensor?, _ pass: CodecPass) throws -> Tensor {
        let attempt = attempt(frames.size(0), pass.tile, isWhole: false)
        attempts.withLock { $0.encoding.append(attempt) }
        try check(attempt)
        return try base.encode(frames, samplingWith: noise)
    }

    func decode(_ latents: Tensor, _ pass: CodecPass) throws -> Tensor {
        let attempt = attempt(latents.size(0), pass.tile, isWhole: false)
        attempts.withLock { $0.decoding.append(attempt) }
        try check(attempt)
        return try base.decode(latents)
    }

    func predictNoise(_ latents: Tensor, timestep: Int) throws -> Tensor {
        let attempt = attempt(latents.size(0), nil, isWhole: true)
        attempts.withLock { $0.prediction.append(attempt) }
        try check(attempt)
        return try base.predictNoise(latents, timestep: timestep)
    }
}

/// Falling back to smaller passes.
@Suite struct OutOfMemoryTests {
    static func options(framesPerPass: Int?) -> RestorationOptions {
        var options = RestorationOptions()
        options.samplesEncoder = true
        options.framesPerPass = framesPerPass
        return options
    }

    static func restore(_ prior: some DiffusionPrior, framesPerPass: Int?, notes: (@Sendable (String) -> Void)? = nil) throws -> Restoration {
        var solver = Solver(prior: prior, options: options(framesPerPass: framesPerPass))
        solver.onSmallerPasses = notes
        return try solver.restore(SolverTests.video(6, 8, 12), operator: AveragePooling(factor: 2))
    }

    static func values(_ restoration: Restoration) throws -> [Float] { try restoration.frames.array() }

    /// Every message that PyTorch has for it.
    @Test(arguments: [
        "CUDA out of memory. Tried to allocate 2.00 GiB.",
        "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 4294967296 bytes. Error code 12",
        "MPS backend out of memory (MPS allocated: 8.00 GB)", "std::bad_alloc",
    ])
    func halvesTheFramesAndGivesTheSame(message: String) throws {
        let notes = Mutex([String]())
        let cramped = CrampedPrior(frames: 2, message: message)
        let result = try Self.restore(cramped, framesPerPass: 6) { text in notes.withLock { $0.append(text) } }
        #expect(try Self.values(result) == Self.values(Self.restore(CrampedPrior(frames: 6), framesPerPass: 6)))
        #expect(notes.withLock { $0.count } == 1)
        // 6 does not fit, 3 does not, 1 does; what was learnt is kept.
        #expect(result.passes == PassSizes(frames: 1))
        let decodings = cramped.attempts.withLock { $0.decoding }
        #expect(decodings.prefix(3).map(\.frames) == [6, 3, 1] && decodings.dropFirst(2).allSatisfy(\.fits))
    }

    @Test func thenTilesThenSmallerTiles() throws {
        let cramped = CrampedPrior(frames: 1, tile: 256)
        let result = try Self.restore(cramped, framesPerPass: 2)
        #expect(try Self.values(result) == Self.values(Self.restore(CrampedPrior(frames: 6), framesPerPass: 1)))
        var expected = PassSizes(frames: 1)
        (expected.encodingTile, expected.decodingTile) = (256, 256)
        #expect(result.passes == expected)
        let decodings = cramped.attempts.withLock { $0.decoding }
        #expect(decodings.prefix(4) == [
            .init(frames: 2, tile: nil, fits: false), .init(frames: 1, tile: nil, fits: false), .init(frames: 1, tile: 512, fits: false),
            .init(frames: 1, tile: 256, fits: true),
        ])
    }

    @Test func saysSoWhereNothingFits() throws {
        #expect {
            try Self.restore(CrampedPrior(frames: 1, tile: 64), framesPerPass: 4)
        } throws: {
            guard case RestorationError.outOfMemory(let device, _) = $0 else { return false }
            return device == "cpu" && "\($0)".contains("does not suffice for one frame")
        }
        #expect(throws: RestorationError.self) { try Self.restore(CrampedPrior(frames: 0), framesPerPass: 4) }
    }

    @Test func otherErrorsAreNotTriedAgain() throws {
        let prior = CrampedPrior(frames: 2, message: "The size of tensor a (3) must match the size of tensor b (4)")
        #expect(throws: TensorError.self) { try Self.restore(prior, framesPerPass: 4) }
    }

    /// The engine's own refusal of an allocation that no machine grants.
    @Test func theEnginesMessageIsKnown() throws {
        #expect {
            _ = try Tensor.empty([1 << 46])
        } throws: { ($0 as? TensorError)?.isOutOfMemory ?? false }
    }
}

/// Early timesteps with a quicker autoencoder.
@Suite struct DraftTests {
    /// The start and the last timesteps are never drafts.
    @Test(arguments: [1, 3, 8, 100]) func theTimestepsBeforeTheLastOnesAreDrafts(exact: Int) throws {
        let prior = WatchedPrior()
        var options = RestorationOptions()
        options.exactCodecSteps = exact
        options.framesPerPass = 2
        _ = try Solver(prior: prior, options: options).restore(SolverTests.video(2, 8, 8), operator: AveragePooling(factor: 1))
        let drafts = max(8 - exact, 0)
        let asked = prior.asked.withLock { $0 }
        #expect(asked.draftDecodings == (0..<8).map { $0 < drafts })
        #expect(asked.draftEncodings == [false] + (0..<7).map { $0 < drafts })
    }

    @Test func withoutTheOptionNothingIsADraft() throws {
        let prior = WatchedPrior()
        _ = try Solver(prior: prior).restore(SolverTests.video(2, 8, 8), operator: AveragePooling(factor: 1))
        #expect(prior.asked.withLock { !($0.draftEncodings + $0.draftDecodings).contains(true) })
    }

    /// A draft is the tiny autoencoder's, and it is refused where its latents are others.
    @Test(arguments: Golden.sets) func theModelsDraftIsTheOtherAutoencoder(set: Golden) throws {
        let url = set.model
        let tiny = url.appendingPathComponent("vae_tiny")
        let prior = LatentDiffusionPrior(try LatentDiffusionModel(at: url, draft: tiny))
        let alone = LatentDiffusionPrior(try LatentDiffusionModel(at: url, autoencoder: tiny))
        let frames = try SolverTests.video(1, 64, 96)
        func values(_ tensor: Tensor) throws -> [Float] { try tensor.array() }
        let latents = try prior.encode(frames, samplingWith: nil)
        #expect(try values(prior.encode(frames, samplingWith: nil, CodecPass(isDraft: true))) == values(alone.encode(frames, samplingWith: nil)))
        #expect(try values(prior.decode(latents, CodecPass(isDraft: true))) == values(alone.decode(latents)))
        #expect(try values(prior.decode(latents, CodecPass(isDraft: true))) != values(prior.decode(latents)))
        let folder = try TemporaryFolder()
        try TinyModel.write(to: URL(fileURLWithPath: folder.path))
        #expect(throws: ModelError.self) { try LatentDiffusionModel(at: url, draft: URL(fileURLWithPath: folder.file("vae"))) }
    }
}

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

    static func plan(_ budget: Int?, frames: Int = 5, framesPerPass: Int? = nil) throws -> MemoryPlan {
        MemoryPlan(
            model: try memory.get(), device: .cuda(0), budget: budget, frames: frames, height: 768, width: 1280, framesPerPass: framesPerPass)
    }

    @Test func withoutALimitTheDeviceIsKeptBusy() throws {
        let plan = try Self.plan(nil)
        #expect(plan.passes == PassSizes(frames: 4) && plan.fits)
        #expect(try Self.plan(nil, frames: 2).passes == PassSizes(frames: 2))
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

    @Test func framesPerPassAreKept() throws {
        #expect(try Self.plan(3_000_000_000, framesPerPass: 3).passes.prediction == 3)
        #expect(try Self.plan(nil, frames: 9, framesPerPass: 8).passes == PassSizes(frames: 8))
    }

    /// Groups of patches take more than the networks where these are small, and nothing beside them where they are not.
    @Test func theStartIsCounted() throws {
        func plan(_ side: Int, isSelfSimilar: Bool) throws -> MemoryPlan {
            MemoryPlan(
                model: try Self.memory.get(), device: .cpu, budget: nil, frames: 2, height: side, width: side, framesPerPass: 1,
                isSelfSimilar: isSelfSimilar)
        }
        #expect(try plan(64, isSelfSimilar: true).pass > plan(64, isSelfSimilar: false).pass)
        #expect(try plan(1024, isSelfSimilar: true) == plan(1024, isSelfSimilar: false))
    }

    @Test func saysWhatIsNeeded() throws {
        let text = "\(try Self.plan(nil))"
        #expect(text.hasPrefix("needs about ") && text.hasSuffix("; 4 frames a pass"))
    }
}
