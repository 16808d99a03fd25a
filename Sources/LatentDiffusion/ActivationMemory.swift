import TensorKit

// What a pass of each network holds in memory at its peak, beside its weights. The networks are walked layer by layer as they compute, and
// every tensor that is alive counts; Benchmarks/RESULTS.md has the predictions beside measurements.

/// The largest number of bytes that were alive at once.
struct LivePeak {
    private(set) var peak = 0
    /// Bytes that stay alive from one layer to the next.
    var held = 0

    /// A moment at which `bytes` are alive beside what is held.
    mutating func pass(_ bytes: Int) { peak = max(peak, held + bytes) }

    /// A residual block over `pixels`; its input is counted by the caller. Afterwards its output is alive.
    /// - Parameters:
    ///   - size: bytes of an element.
    ///   - normSize: bytes of an element in its norms.
    mutating func residual(_ input: Int, _ output: Int, pixels: Int, size: Int, normSize: Int, hasTime: Bool = false) {
        // A norm in a wider type has its input converted, and its result converted back.
        func norm(_ channels: Int) -> Int { normSize == size ? size * channels : 2 * normSize * channels }
        pass(pixels * norm(input))
        pass(pixels * size * (input + output))
        if hasTime { pass(pixels * size * 2 * output) }
        pass(pixels * (size * output + norm(output)))
        pass(pixels * size * 3 * output)
        if input == output { pass(pixels * size * 2 * output) }
    }

    /// Attention over `tokens` and the linear layers around it: query, key, value, the attended and its copy, the output.
    mutating func attention(_ channels: Int, tokens: Int, size: Int) { pass(tokens * size * 7 * channels) }
}

extension AutoencoderKL.Configuration {
    /// Bytes at the peak of decoding frames of a size in pixels, in tiles or not.
    func decodingBytes(frames: Int, height: Int, width: Int, dtype: DType, tile: Int?) -> Int {
        let (size, pixels) = (dtype.byteCount, frames * height * width)
        let levels = blockChannels.count
        var live = LivePeak()
        live.middle(blockChannels[levels - 1], pixels: pixels >> (2 * (levels - 1)))
        for level in (0..<levels).reversed() {
            let here = pixels >> (2 * level)
            let output = blockChannels[level]
            let input = blockChannels[min(level + 1, levels - 1)]
            let enlarges = level < levels - 1
            if let tile, needsTiles(level: level) {
                // The maps before and after a stage, and a tile's layers: what is read, its enlargement or norm, a convolution's output.
                let inputMap = enlarges ? here / 4 * input : here * output
                let window = frames * min((tile >> level) + 8, height >> level) * min((tile >> level) + 8, width >> level)
                live.held = size * max(inputMap + here * output, 2 * here * output)
                live.tile(max(input, output), pixels: window, size: size)
                continue
            }
            live.held = 0
            if enlarges { live.pass(size * (here / 4 * input + 2 * here * input)) }
            for layer in 0...layersPerBlock {
                let from = layer == 0 ? input : output
                live.held = size * here * from
                live.residual(from, output, pixels: here, size: size, normSize: 4)
            }
        }
        live.held = 0
        // The last norm, and the frames in both memory formats and in float32.
        if tile == nil { live.pass(pixels * blockChannels[0] * (size == 4 ? 2 * size : size + 8)) }
        live.pass(pixels * 3 * (size + 8))
        return live.peak
    }

    /// Bytes at the peak of encoding frames of a size in pixels, in tiles or not.
    func encodingBytes(frames: Int, height: Int, width: Int, dtype: DType, tile: Int?) -> Int {
        let (size, pixels) = (dtype.byteCount, frames * height * width)
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
                let window = frames * min((tile >> level) + 8, height >> level) * min((tile >> level) + 8, width >> level)
                live.held = frameBytes + size * here * (level == 0 && layersPerBlock == 1 ? output : 2 * output)
                if layersPerBlock == 2, level < levels - 1 { live.held = frameBytes + size * (here * (level == 0 ? output : input + output)) }
                if layersPerBlock == 2, level < levels - 1 { live.held += size * here / 4 * output }
                live.tile(max(input, output), pixels: window, size: size)
                continue
            }
            for layer in 0..<layersPerBlock {
                let from = layer == 0 ? input : output
                live.held = frameBytes + size * here * from
                live.residual(from, output, pixels: here, size: size, normSize: 4)
            }
            live.held = frameBytes
            if level < levels - 1 { live.pass(size * (2 * here * output + here / 4 * output)) }
        }
        live.held = 0
        live.middle(blockChannels[levels - 1], pixels: pixels >> (2 * (levels - 1)))
        return live.peak + frameBytes
    }
}

extension LivePeak {
    /// The autoencoder's middle block, in float32.
    fileprivate mutating func middle(_ channels: Int, pixels: Int) {
        held = 4 * channels * pixels
        residual(channels, channels, pixels: pixels, size: 4, normSize: 4)
        attention(channels, tokens: pixels, size: 4)
        held = 0
    }

    /// The layers of a tile.
    fileprivate mutating func tile(_ channels: Int, pixels: Int, size: Int) { pass(pixels * channels * (size == 4 ? 5 * size : 3 * size + 12)) }
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

extension AutoencoderLinear.Configuration {
    /// Latents, and the frames in their types and formats.
    func bytes(frames: Int, height: Int, width: Int, dtype: DType) -> Int {
        let pixels = frames * height * width
        return (pixels * 3 + pixels / (patchSize * patchSize) * latentChannels) * (2 * dtype.byteCount + 8)
    }
}

extension UNet2DCondition.Configuration {
    /// Bytes at the peak of one pass over `count` latents of a size.
    func bytes(count: Int, height: Int, width: Int, dtype: DType) -> Int {
        let size = dtype.byteCount
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
        func block(_ input: Int, _ output: Int, _ level: Int, _ transformer: UNet2DCondition.Transformer?, beside: Int) {
            held(beside + size * pixels[level] * input)
            live.residual(input, output, pixels: pixels[level], size: size, normSize: size, hasTime: true)
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
            block(widest, widest, levels - 1, midBlock.contains("CrossAttn") ? transformer(levels - 1, in: "CrossAttn") : nil, beside: 0)
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
                block(input, output, level, transformer(level, in: upBlocks[index]), beside: size * pixels[level] * before)
            }
            if level > 0 {
                held(size * pixels[level] * output)
                live.pass(2 * size * pixels[level - 1] * output)
            }
        }
        return live.peak + 2 * 4 * pixels[0] * blockChannels[0]
    }
}
