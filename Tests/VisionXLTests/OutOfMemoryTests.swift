import Diffusion
import InverseProblems
import Synchronization
import TensorKit
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
    func latentShape(frames: Int, height: Int, width: Int) -> [Int] {
        base.latentShape(frames: frames, height: height, width: width)
    }

    private func attempt(_ count: Int, _ side: Int?, isWhole: Bool) -> Attempt {
        let fits = count <= frames && (isWhole || tile.map { (side ?? .max) <= $0 } ?? true)
        return Attempt(frames: count, tile: side, fits: fits)
    }

    private func check(_ attempt: Attempt) throws {
        guard attempt.fits else { throw TensorError.operation(name: "aten::conv2d", message: message) }
    }

    func encode(_ frames: Tensor, samplingWith noise: Tensor?) throws -> Tensor {
        try encode(frames, samplingWith: noise, CodecPass())
    }
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
    static func restore(
        _ prior: some DiffusionPrior, passes: PassSizes, notes: (@Sendable (String) -> Void)? = nil
    ) throws -> Restoration {
        var solver = Solver(prior: prior)
        solver.options.samplesEncoder = true
        solver.passes = passes
        solver.onSmallerPasses = notes
        return try solver.restore(measured(video(6, 8, 12), AveragePooling(factor: 2)))
    }

    static func values(_ restoration: Restoration) throws -> [Float] { try restoration.frames.array() }

    /// Every message that PyTorch has for it.
    @Test(arguments: [
        "CUDA out of memory. Tried to allocate 2.00 GiB.",
        "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
            + "allocate 4294967296 bytes. Error code 12",
        "MPS backend out of memory (MPS allocated: 8.00 GB)", "std::bad_alloc",
    ])
    func halvesTheFramesAndGivesTheSame(message: String) throws {
        let notes = Mutex([String]())
        let cramped = CrampedPrior(frames: 2, message: message)
        let result = try Self.restore(cramped, passes: PassSizes(frames: 6)) { text in
            notes.withLock { $0.append(text) }
        }
        #expect(
            try Self.values(result) == Self.values(Self.restore(CrampedPrior(frames: 6), passes: PassSizes(frames: 6))))
        #expect(notes.withLock { $0.count } == 1)
        // 6 does not fit, 3 does not, 1 does; what was learnt is kept.
        #expect(result.passes == PassSizes(frames: 1))
        let decodings = cramped.attempts.withLock { $0.decoding }
        #expect(decodings.prefix(3).map(\.frames) == [6, 3, 1] && decodings.dropFirst(2).allSatisfy(\.fits))
    }

    @Test func thenTilesThenSmallerTiles() throws {
        let cramped = CrampedPrior(frames: 1, tile: 256)
        let result = try Self.restore(cramped, passes: PassSizes(frames: 2))
        #expect(
            try Self.values(result) == Self.values(Self.restore(CrampedPrior(frames: 6), passes: PassSizes(frames: 1))))
        var expected = PassSizes(frames: 1)
        (expected.encodingTile, expected.decodingTile) = (256, 256)
        #expect(result.passes == expected)
        let decodings = cramped.attempts.withLock { $0.decoding }
        #expect(
            decodings.prefix(4) == [
                .init(frames: 2, tile: nil, fits: false), .init(frames: 1, tile: nil, fits: false),
                .init(frames: 1, tile: 512, fits: false),
                .init(frames: 1, tile: 256, fits: true),
            ])
    }

    @Test func saysSoWhereNothingFits() throws {
        #expect {
            try Self.restore(CrampedPrior(frames: 1, tile: 64), passes: PassSizes(frames: 4))
        } throws: {
            guard case RestorationError.outOfMemory(let device, _) = $0 else { return false }
            return device == "cpu" && "\($0)".contains("does not suffice for one frame")
        }
        #expect(throws: RestorationError.self) {
            try Self.restore(CrampedPrior(frames: 0), passes: PassSizes(frames: 4))
        }
    }

    @Test func otherErrorsAreNotTriedAgain() throws {
        let prior = CrampedPrior(frames: 2, message: "The size of tensor a (3) must match the size of tensor b (4)")
        #expect(throws: TensorError.self) { try Self.restore(prior, passes: PassSizes(frames: 4)) }
    }

    /// The engine's own refusal of an allocation that no machine grants.
    @Test func theEnginesMessageIsKnown() throws {
        #expect {
            _ = try Tensor.empty([1 << 46])
        } throws: { ($0 as? TensorError)?.isOutOfMemory ?? false }
    }
}
