import TensorKit

// Encoding and decoding tile by tile, for frames that are too large to go through at once. Every residual block is a stage of its own, with
// the enlargement before it and the network's last layers behind it; between them the maps are whole.
extension AutoencoderKL {
    /// `decodeUnscaled` in tiles: the same frames but for rounding, whatever the tile.
    ///
    /// Cost: about twice the time of `decodeUnscaled`; memory for the maps of full size before and after one residual block and for a tile's
    /// layers, instead of a whole frame's layers.
    /// - Parameter tile: the side of a tile, in pixels of the frames.
    public func decodeUnscaled(_ latents: Tensor, tile: Int) throws -> Tensor {
        var h = try latents.to(.float32).contiguous(format)
        if let postQuantize { h = try postQuantize(h) }
        h = try decoder.mid(decoder.convIn(h)).to(decoder.convOut.weight.dtype)
        let stage = TiledStage(format: format)
        for (index, block) in decoder.up.enumerated() {
            let level = decoder.up.count - 1 - index
            let upsampler = index == 0 ? nil : decoder.up[index - 1].upsampler
            guard configuration.needsTiles(level: level) else {
                if let upsampler { h = try upsampler(h) }
                for resnet in block.resnets { h = try resnet(h) }
                continue
            }
            for (number, resnet) in block.resnets.enumerated() {
                let enlarges = number == 0 && upsampler != nil
                let ends = level == 0 && number == block.resnets.count - 1
                // Up to four convolutions of 3 x 3 at the output's size, two of them always.
                h = try stage(
                    h, tile: tile >> level, margin: ends && !enlarges ? 3 : 2, enlarges ? .enlarging(2) : .keeping
                ) { piece, norms in
                    var piece = piece
                    if enlarges, let upsampler { piece = try piece.enlarged(upsampler) }
                    guard let output = try piece.through(resnet, &norms) else { return nil }
                    return ends ? try norms.silu(decoder.normOut, output)?.convolved(decoder.convOut) : output
                }
            }
        }
        return h
    }

    /// `moments` in tiles: the same but for rounding, at the cost of `decodeUnscaled(_:tile:)`.
    public func moments(_ frames: Tensor, tile: Int) throws -> (mean: Tensor, logVariance: Tensor) {
        let stage = TiledStage(format: format)
        var h = try frames.contiguous(format)
        for (level, block) in encoder.down.enumerated() {
            let inTiles = configuration.needsTiles(level: level)
            for (number, resnet) in block.resnets.enumerated() {
                let begins = level == 0 && number == 0
                guard inTiles else {
                    if begins { h = try encoder.convIn(h) }
                    h = try resnet(h)
                    continue
                }
                let downsampler = number == block.resnets.count - 1 ? block.downsampler : nil
                let side = tile >> (downsampler == nil ? level : level + 1)
                h = try stage(h, tile: side, margin: 4, downsampler == nil ? .keeping : .halving) { piece, norms in
                    let input = begins ? try piece.convolved(encoder.convIn) : piece
                    guard let output = try input.through(resnet, &norms) else { return nil }
                    return try downsampler.map(output.halved) ?? output
                }
            }
            if !inTiles, let downsampler = block.downsampler { h = try downsampler(h.padded([0, 1, 0, 1])) }
        }
        return try split(encoder.convOut(encoder.normOut.silu(encoder.mid(h.to(.float32)))))
    }
}

extension AutoencoderKL.Configuration {
    /// Whether a level runs in tiles when the network does: where a whole pass, which holds about four of its widest maps, would need more
    /// than the two maps of full size that a tiled pass holds anyway.
    /// - Parameter level: 0 is that of the frames' size, each further one half as large.
    func needsTiles(level: Int) -> Bool {
        let widest = blockChannels[level...min(level + 1, blockChannels.count - 1)].max() ?? 0
        return level == 0 || 4 * widest > 2 * blockChannels[0] << (2 * level)
    }
}
