import Networks
import TensorKit

// What a pass of each network holds in memory at its peak, beside its weights. The networks are walked layer by layer as they compute, and
// every tensor that is alive counts; Benchmarks/RESULTS.md has the predictions beside measurements.

/// How a network computes, as far as its memory depends on it.
struct Arithmetic {
    /// Bytes of an element.
    let size: Int
    /// Bytes of a norm's result, and of what it takes to get it, for each element. A CPU's norms widen as they read.
    private let normed: Int
    /// Whether convolutions go by Winograd's algorithm, which has large maps in strips.
    let isWinograd: Bool
    /// What an upsampler holds beside its input, in quarters of its output.
    let enlargedQuarters: Int
    /// Elements that a tensor may have. Several of CUDA's kernels count in 32 bits, and say so in words that are not those of a lack of memory.
    let largestTensor: Int

    init(dtype: DType, device: Device, channels: Int) {
        let kernels = Kernels.current(on: device)
        size = dtype.byteCount
        isWinograd = MemoryFormat.fastest(for: dtype, on: device, channels: channels) == .contiguous
        if device == .cpu || size == 4 {
            normed = size
        } else {
            // a x + b in float32 and its narrow copy; or a wide copy, and the engine's norm of it.
            normed = kernels.normsChannelsLast ? 4 + size : 8
        }
        if isWinograd {
            enlargedQuarters = 8
        } else if kernels.foldsEnlargement {
            // The output and one of its four parts.
            enlargedQuarters = 5
        } else {
            // The enlarged map beside the output, but where one transposed convolution does both.
            let isDoubled = device == .cpu && (dtype != .bfloat16 || Processor.current.hasFastBFloat16)
            enlargedQuarters = isDoubled ? 4 : 8
        }
        largestTensor = device == .cpu ? .max : Int(Int32.max)
    }

    private init(exact narrow: Arithmetic) {
        (size, normed, isWinograd) = (4, 4, narrow.isWinograd)
        (enlargedQuarters, largestTensor) = (narrow.enlargedQuarters, narrow.largestTensor)
    }

    /// The same in float32.
    var exact: Arithmetic { Arithmetic(exact: self) }

    /// A norm's result and what it takes to get it, of a pixel.
    func norm(_ channels: Int) -> Int { normed * channels }

    /// What a convolution over `pixels` takes beside its input and its output.
    func strips(_ input: Int, _ output: Int, pixels: Int) -> Int {
        // A strip's input, output and transforms, which are 64/36 of both, grow together.
        let largest = Tensor.winogradBytes * 36 / 64
        let whole = pixels * size * (input + output)
        return isWinograd && whole > largest ? largest : 0
    }
}

/// The largest number of bytes that were alive at once.
struct LivePeak {
    private(set) var peak = 0
    /// Bytes that stay alive from one layer to the next.
    var held = 0

    /// A moment at which `bytes` are alive beside what is held.
    mutating func pass(_ bytes: Int) { peak = max(peak, held + bytes) }

    /// A residual block over `pixels`; its input is counted by the caller. Afterwards its output is alive.
    mutating func residual(_ input: Int, _ output: Int, pixels: Int, _ how: Arithmetic) {
        let size = how.size
        pass(pixels * how.norm(input))
        pass(pixels * size * (input + output) + how.strips(input, output, pixels: pixels))
        pass(pixels * (size * output + how.norm(output)))
        pass(pixels * size * 2 * output + how.strips(output, output, pixels: pixels))
    }

    /// Attention over `tokens` and the linear layers around it: query, key, value, the attended and its copy, the output.
    mutating func attention(_ channels: Int, tokens: Int, size: Int) { pass(tokens * size * 7 * channels) }
}

extension AutoencoderKL.Configuration {
    /// Bytes at the peak of decoding frames of a size in pixels, in tiles or not.
    func decodingBytes(frames: Int, height: Int, width: Int, _ how: Arithmetic, tile: Int?) -> Int {
        let (size, pixels) = (how.size, frames * height * width)
        let levels = blockChannels.count
        var live = LivePeak()
        live.middle(blockChannels[levels - 1], pixels: pixels >> (2 * (levels - 1)), how.exact)
        for level in (0..<levels).reversed() {
            let here = pixels >> (2 * level)
            let output = blockChannels[level]
            let input = blockChannels[min(level + 1, levels - 1)]
            let enlarges = level < levels - 1
            if let tile, needsTiles(level: level) {
                // The maps before and after a stage, and a tile's layers: what is read, its enlargement or norm, a convolution's output.
                let inputMap = enlarges ? here / 4 * input : here * output
                let window =
                    frames * min((tile >> level) + 8, height >> level) * min((tile >> level) + 8, width >> level)
                live.held = size * max(inputMap + here * output, 2 * here * output)
                live.tile(max(input, output), pixels: window, how)
                continue
            }
            live.held = 0
            if enlarges {
                live.pass(
                    size * (here / 4 * input + here / 4 * how.enlargedQuarters * input)
                        + how.strips(input, input, pixels: here))
            }
            for layer in 0...layersPerBlock {
                let from = layer == 0 ? input : output
                live.held = size * here * from
                live.residual(from, output, pixels: here, how)
            }
        }
        live.held = 0
        // The last norm, and the frames in both memory formats and in float32.
        if tile == nil { live.pass(pixels * (blockChannels[0] * size + how.norm(blockChannels[0]))) }
        live.pass(pixels * 3 * (size + 8))
        return live.peak
    }

    /// Bytes at the peak of encoding frames of a size in pixels, in tiles or not.
    func encodingBytes(frames: Int, height: Int, width: Int, _ how: Arithmetic, tile: Int?) -> Int {
        let (size, pixels) = (how.size, frames * height * width)
        let levels = blockChannels.count
        var live = LivePeak()
        // The frames, converted and in the networks' memory format.
        let frameBytes = pixels * 3 * 2 * size
        for level in 0..<levels {
            let here = pixels >> (2 * level)
            let output = blockChannels[level]
            let input = blockChannels[max(level - 1, 0)]
            live.held = frameBytes
            if let tile, needsTiles(level: level) {
                let window =
                    frames * min((tile >> level) + 8, height >> level) * min((tile >> level) + 8, width >> level)
                live.held = frameBytes + size * here * (level == 0 && layersPerBlock == 1 ? output : 2 * output)
                if layersPerBlock == 2, level < levels - 1 {
                    live.held = frameBytes + size * (here * (level == 0 ? output : input + output))
                }
                if layersPerBlock == 2, level < levels - 1 { live.held += size * here / 4 * output }
                live.tile(max(input, output), pixels: window, how)
                continue
            }
            for layer in 0..<layersPerBlock {
                let from = layer == 0 ? input : output
                live.held = frameBytes + size * here * from
                live.residual(from, output, pixels: here, how)
            }
            live.held = frameBytes
            if level < levels - 1 { live.pass(size * (2 * here * output + here / 4 * output)) }
        }
        live.held = 0
        live.middle(blockChannels[levels - 1], pixels: pixels >> (2 * (levels - 1)), how.exact)
        return live.peak + frameBytes
    }
}

extension AutoencoderKL.Configuration {
    /// Elements of the largest map that a layer sees: at a level's size in its own channels or in those that come from the level before.
    /// - Parameter decodes: whether that is the level below, or the one above.
    func largestMap(decodes: Bool, frames: Int, height: Int, width: Int, tile: Int?) -> Int {
        let last = blockChannels.count - 1
        return blockChannels.indices.map { level in
            let channels = max(blockChannels[level], blockChannels[min(max(level + (decodes ? 1 : -1), 0), last)])
            guard let tile, needsTiles(level: level) else { return frames * (height * width) >> (2 * level) * channels }
            return frames * min((tile >> level) + 8, height >> level) * min((tile >> level) + 8, width >> level)
                * channels
        }.max() ?? 0
    }
}

extension LivePeak {
    /// The autoencoder's middle block, in float32.
    fileprivate mutating func middle(_ channels: Int, pixels: Int, _ how: Arithmetic) {
        held = 4 * channels * pixels
        residual(channels, channels, pixels: pixels, how)
        attention(channels, tokens: pixels, size: 4)
        held = 0
    }

    /// The layers of a tile. Its norms' statistics are applied in float32.
    fileprivate mutating func tile(_ channels: Int, pixels: Int, _ how: Arithmetic) {
        pass(
            pixels * channels * (how.size == 4 ? 5 * how.size : 3 * how.size + 12)
                + how.strips(channels, channels, pixels: pixels))
    }
}

extension AutoencoderTiny.Configuration {
    func decodingBytes(frames: Int, height: Int, width: Int, dtype: DType, tile: Int?) -> Int {
        bytes(decoderChannels[0], frames: frames, height: height, width: width, dtype: dtype, tile: tile)
    }

    func encodingBytes(frames: Int, height: Int, width: Int, dtype: DType, tile: Int?) -> Int {
        bytes(encoderChannels[0], frames: frames, height: height, width: width, dtype: dtype, tile: tile)
    }

    /// A block's input and three maps more at the size of the frames; in tiles one map and what a tile has.
    private func bytes(_ channels: Int, frames: Int, height: Int, width: Int, dtype: DType, tile: Int?) -> Int {
        let (size, pixels) = (dtype.byteCount, frames * height * width)
        let around = pixels * 3 * (2 * size + 8)
        guard let tile else { return pixels * size * 4 * channels + around }
        let window = frames * min(tile + 32, height) * min(tile + 32, width)
        return pixels * size * (channels + channels / 4) + window * size * 5 * channels + around
    }
}

extension AutoencoderTiny.Configuration {
    /// Elements of the largest map that a layer sees.
    func largestMap(frames: Int, height: Int, width: Int, tile: Int?) -> Int {
        let channels = max(encoderChannels[0], decoderChannels[0])
        return frames * (tile.map { min($0 + 32, height) * min($0 + 32, width) } ?? height * width) * channels
    }
}

extension AutoencoderLinear.Configuration {
    /// Latents, and the frames in their types and formats.
    func bytes(frames: Int, height: Int, width: Int, dtype: DType) -> Int {
        let pixels = frames * height * width
        return (pixels * 3 + pixels / (patchSize * patchSize) * latentChannels) * (2 * dtype.byteCount + 8)
    }
}

extension UNet2DCondition.Configuration {
    /// Elements of the largest map that a layer sees: what comes from below beside what it meets, or the inside of a gated layer.
    func largestMap(count: Int, height: Int, width: Int) -> Int {
        blockChannels.indices.map { level in
            let (factor, here) = (1 << level, blockChannels[level])
            let pixels = count * ((height + factor - 1) / factor) * ((width + factor - 1) / factor)
            let below = blockChannels[min(level + 1, blockChannels.count - 1)]
            let inside = transformer(level, in: downBlocks[level]) == nil ? 0 : 4 * here
            return pixels * max(here + max(here, below), inside)
        }.max() ?? 0
    }

    /// Bytes at the peak of one pass over `count` latents of a size.
    func bytes(count: Int, height: Int, width: Int, _ how: Arithmetic) -> Int {
        let size = how.size
        let levels = blockChannels.count
        // Sizes that are odd are halved upwards.
        let pixels = (0..<levels).map { level in
            let factor = 1 << level
            return count * ((height + factor - 1) / factor) * ((width + factor - 1) / factor)
        }
        var live = LivePeak()
        /// Bytes of the tensors that the way up will want, the last one first.
        var skips = [size * pixels[0] * blockChannels[0]]
        func held(_ bytes: Int) { live.held = skips.reduce(0, +) + bytes }
        func block(_ input: Int, _ output: Int, _ level: Int, _ transformer: UNet2DCondition.Transformer?, beside: Int)
        {
            held(beside + size * pixels[level] * input)
            live.residual(input, output, pixels: pixels[level], how)
            guard transformer != nil else { return }
            held(beside + size * pixels[level] * output)
            live.attention(2 * output, tokens: pixels[level], size: size)
            // The gated layer: its input and residual, 8 C for gate and value, 4 C for gelu(gate), 4 C for the product.
            live.pass(pixels[level] * size * 19 * output)
        }
        for level in 0..<levels {
            let output = blockChannels[level]
            for layer in 0..<layersPerBlock[level] {
                let input = layer == 0 ? blockChannels[max(level - 1, 0)] : output
                block(input, output, level, transformer(level, in: downBlocks[level]), beside: 0)
                skips.append(size * pixels[level] * output)
            }
            if level < levels - 1 {
                held(size * pixels[level + 1] * output)
                live.pass(0)
                skips.append(size * pixels[level + 1] * output)
            }
        }
        let widest = blockChannels[levels - 1]
        if let midBlock {
            block(
                widest, widest, levels - 1,
                midBlock.contains("CrossAttn") ? transformer(levels - 1, in: "CrossAttn") : nil, beside: 0)
        }
        for index in 0..<levels {
            let level = levels - 1 - index
            let output = blockChannels[level]
            for layer in 0...layersPerBlock[level] {
                let before = layer == 0 ? blockChannels[min(level + 1, levels - 1)] : output
                let joined = skips.last ?? 0
                skips.removeLast()
                // What came from below, what it meets, and both side by side.
                held(size * pixels[level] * before + joined)
                live.pass(size * pixels[level] * before + joined)
                let input = before + joined / (size * pixels[level])
                block(
                    input, output, level, transformer(level, in: upBlocks[index]), beside: size * pixels[level] * before
                )
            }
            if level > 0 {
                held(size * pixels[level] * output)
                live.pass(2 * size * pixels[level - 1] * output)
            }
        }
        return live.peak + 2 * 4 * pixels[0] * blockChannels[0]
    }
}
