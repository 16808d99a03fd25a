import LatentDiffusion
import TensorKit
import VisionXL

/// What a restoration takes of a device's memory, and how much of the video goes through each network at once so that it fits.
///
///     let plan = MemoryPlan(model: memory, device: .cpu, budget: 8_000_000_000, frames: 25, height: 768, width: 1280)
///     solver.passes = plan.passes
public struct MemoryPlan: Sendable, Equatable, Codable {
    /// Bytes that there are to use; nil where nobody knows.
    public var budget: Int?
    /// Bytes of the program itself: its engine's code and work space on a CPU, the driver's context and work space on a GPU.
    public var program: Int
    /// Of the networks' weights.
    public var weights: Int
    /// Of the video while it is worked on, about ten times its size in float32, once more with a first estimate that is brought along, and once more with
    /// what a lossy autoencoder lost.
    public var video: Int
    /// Of the largest pass of a network.
    public var pass: Int
    public var passes: PassSizes

    /// All of it together.
    public var total: Int { program + weights + video + pass }
    /// Whether that is within the budget.
    public var fits: Bool { budget.map { total <= $0 } ?? true }

    /// Whether there is no room for what the C library keeps of freed memory (`Heap`), so that it should be told not to. CPU only.
    public var isTight: Bool { budget.map { total + min(pass + video, Self.heapSpare) > $0 } ?? false }

    /// Whether there is room for all that the C library could keep of freed memory. CPU only.
    public var isAmple: Bool { budget.map { 3 * total <= $0 } ?? false }

    /// Tells the C library what to do with freed memory. CPU only.
    func settleHeap() {
        if isTight {
            Heap.returnLargeBlocks()
        } else if isAmple {
            Heap.keepLargeBlocks()
        } else {
            // A file before may have wanted something else.
            Heap.standard()
        }
    }

    /// The largest passes, up to those that keep the device busy, that fit into a budget and whose maps the device can count; the smallest there
    /// are where none does.
    /// - Parameters:
    ///   - budget: bytes; unlimited when nil.
    ///   - program: bytes that the process takes beside; what a CUDA context was seen to take when nil.
    ///   - frames: that are restored together.
    ///   - hasGuidance: whether the noise is predicted twice.
    ///   - extraVideos: copies of the video that are kept beside the usual ones: frames to begin from, what a lossy autoencoder lost.
    ///   - enlarging: bytes that a learned first estimate takes of a frame; 0 without one.
    ///   - framesPerPass: a number of frames to keep to, whatever the budget.
    public init(
        model: ModelMemory, device: Device, budget: Int?, program: Int? = nil, frames: Int, height: Int, width: Int,
        hasGuidance: Bool = false, extraVideos: Int = 0, enlarging: Int = 0,
        framesPerPass: Int? = nil
    ) {
        func padded(_ length: Int) -> Int { (length + model.downscale - 1) / model.downscale * model.downscale }
        let (high, wide) = (padded(height), padded(width))
        let program = (program ?? (device == .cpu ? 400_000_000 : 600_000_000)) + model.workBytes
        let video =
            (Self.videoCopies + extraVideos) * frames * 3 * height * width
            * 4
        let left = budget.map { $0 - program - model.weightBytes - video } ?? .max
        (self.budget, self.program, weights, self.video) = (budget, program, model.weightBytes, video)
        let preferred = min(
            framesPerPass ?? Policy.passes(on: device, height: height, width: width).prediction, max(frames, 1))
        /// The first of the passes, from large to small, that fits; else the last.
        func choose(
            _ candidates: [(frames: Int, tile: Int?)], where isPossible: (Int, Int?) -> Bool,
            _ bytes: (Int, Int?) -> Int
        ) -> (frames: Int, tile: Int?, bytes: Int) {
            var last = (frames: 1, tile: Int?.none, bytes: 0)
            for candidate in candidates {
                last = (candidate.frames, candidate.tile, bytes(candidate.frames, candidate.tile) + Self.smallBlocks)
                if last.bytes <= left, isPossible(candidate.frames, candidate.tile) { break }
            }
            return last
        }
        let counts = framesPerPass == nil ? Array((1...preferred).reversed()) : [preferred]
        let whole = counts.map { (frames: $0, tile: Int?.none) }
        let tiled = model.tileSizes.filter { $0 < max(high, wide) }.map {
            (frames: counts[counts.count - 1], tile: Int?.some($0))
        }
        let latents = hasGuidance ? 2 : 1
        let prediction = choose(
            whole, where: { count, _ in model.canPredict(count: latents * count, height: high, width: wide) }
        ) { count, _ in model.prediction(count: latents * count, height: high, width: wide) }
        let encoding = choose(
            whole + tiled, where: { model.canEncode(frames: $0, height: high, width: wide, tile: $1) }
        ) { model.encoding(frames: $0, height: high, width: wide, tile: $1) }
        let decoding = choose(
            whole + tiled, where: { model.canDecode(frames: $0, height: high, width: wide, tile: $1) }
        ) { model.decoding(frames: $0, height: high, width: wide, tile: $1) }
        passes = PassSizes(frames: prediction.frames)
        (passes.encoding, passes.encodingTile) = (encoding.frames, encoding.tile)
        (passes.decoding, passes.decodingTile) = (decoding.frames, decoding.tile)
        pass = max(prediction.bytes, encoding.bytes, decoding.bytes, enlarging)
    }

    private static let videoCopies = 10
    /// What a pass takes beside the tensors that are counted: work space and blocks too small to be given back.
    private static let smallBlocks = 60_000_000
    /// What was seen to be kept of freed blocks, at the most.
    private static let heapSpare = 400_000_000
}

extension MemoryPlan: CustomStringConvertible {
    /// "needs about 3.1 GB (program 0.3, weights 2.6, video 0.1, passes 0.1); 1 frame a pass".
    public var description: String {
        func number(_ bytes: Int) -> String {
            let tenths = (bytes + 50_000_000) / 100_000_000
            return "\(tenths / 10).\(tenths % 10)"
        }
        return
            "needs about \(number(total)) GB (program \(number(program)), weights \(number(weights)), video \(number(video)), largest pass "
            + "\(number(pass))); \(passes)"
    }
}
