import Foundation
import TensorKit
import TestSupport
import Testing
import Weights

@testable import LatentDiffusion

/// Autoencoders in tiles against the same in one piece.
@Suite struct TilingTests {
    /// A small autoencoder with random weights, in both types. (What is mapped stays when its file goes.)
    static let networks = Result { () throws -> [DType: Autoencoder] in
        let folder = try TemporaryFolder()
        let url = URL(fileURLWithPath: folder.path)
        try RandomAutoencoder.write(to: url, channels: [32, 32, 64, 64])
        return [.float32: try Autoencoder(folder: url), .bfloat16: try Autoencoder(folder: url, dtype: .bfloat16)]
    }

    static func network(_ dtype: DType = .float32) throws -> Autoencoder { try #require(networks.get()[dtype]) }

    static func frames(_ count: Int, _ height: Int, _ width: Int) throws -> Tensor {
        var random = RandomGenerator(seed: 5)
        let noise = try random.normal([count, 3, height / 8, width / 8])
        // Bright on the left and dark on the right: tiles that were normalised by themselves would show it.
        let slope = try Tensor.arange(width).reshaped([1, 1, 1, width]) / Double(width) * -2 + 1
        return try (noise.resizedBicubic(height: height, width: width) * 0.3 + slope).clamped(to: -1...1)
    }

    /// 10 log10(range^2 / mean square error), the range being that of the expected values.
    static func decibels(_ found: Tensor, _ expected: Tensor) throws -> Double {
        let range = try expected.maximum().item() - expected.minimum().item()
        let error = try (found - expected).squared().mean().item()
        return 10 * log10(range * range / max(error, 1e-300))
    }

    /// Sizes that tiles divide and that they do not, one tile, and tiles smaller than their margins.
    @Test(arguments: [(64, 64, 32), (88, 136, 32), (72, 104, 40), (64, 96, 512), (64, 80, 8), (8, 200, 64)])
    func decodesAndEncodesAsInOnePiece(height: Int, width: Int, tile: Int) throws {
        let network = try Self.network()
        let frames = try Self.frames(2, height, width)
        let latents = try network.encode(frames)
        #expect(try relativeError(network.encode(frames, tile: tile), latents) < 1e-5)
        #expect(try relativeError(network.decode(latents, tile: tile), network.decode(latents)) < 1e-5)
    }

    /// In bfloat16 two orders of the same sums differ; neither is the better one.
    @Test func inBFloat16TilesAreAsExactAsTheWhole() throws {
        let (narrow, exact) = (try Self.network(.bfloat16), try Self.network())
        let frames = try Self.frames(1, 96, 128)
        let latents = try exact.encode(frames)
        func errors(_ tile: Int?) throws -> (Double, Double) {
            (
                try relativeError(narrow.encode(frames.to(.bfloat16), tile: tile), latents),
                try relativeError(narrow.decode(latents.to(.bfloat16), tile: tile), exact.decode(latents))
            )
        }
        let (tiled, whole) = (try errors(48), try errors(nil))
        #expect(tiled.0 < 1.2 * whole.0 && tiled.1 < 1.2 * whole.1)
        #expect(
            try Self.decibels(narrow.decode(latents.to(.bfloat16), tile: 48).to(.float32), exact.decode(latents)) > 45)
    }

    /// What the statistics of the whole map are for: a tile decoded by itself is another picture.
    @Test func aTileByItselfIsNotThePartOfTheWhole() throws {
        let network = try Self.network()
        let latents = try network.encode(Self.frames(1, 128, 128))
        let part = try network.decode(latents.narrow(3, from: 0, count: 8)).narrow(3, from: 0, count: 32)
        let whole = try network.decode(latents).narrow(3, from: 0, count: 32)
        #expect(try Self.decibels(part, whole) < 40)
        #expect(try Self.decibels(network.decode(latents, tile: 64).narrow(3, from: 0, count: 32), whole) > 90)
    }

    @Test(arguments: ["vae", "vae_tiny"], Golden.sets) func theGoldenAutoencoders(component: String, set: Golden) throws
    {
        let network = try Autoencoder(folder: set.model.appendingPathComponent(component))
        let frames = try Self.frames(1, 160, 224)
        let latents = try network.encode(frames)
        for tile in [32, 64, 96] {
            #expect(try relativeError(network.encode(frames, tile: tile), latents) < 1e-5)
            #expect(try relativeError(network.decode(latents, tile: tile), network.decode(latents)) < 1e-5)
        }
    }
}
