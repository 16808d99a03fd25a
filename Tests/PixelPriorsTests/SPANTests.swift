import Foundation
import Networks
import TensorKit
import TestSupport
import Testing
import Weights

@testable import PixelPriors

@Suite struct SPANTests {
    /// Eight channels with random weights, as Benchmarks/reference/span.py has them.
    private func small(_ dtype: DType = .float32, format: MemoryFormat = .channelsLast) throws -> (SPAN, WeightStore) {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "Fixtures/span.safetensors")
        let store = try WeightStore(at: file)
        let network = try store.build(dtype: dtype, format: format, ignoring: ["picture", "enlarged"]) {
            try SPAN($0, channels: 8, dtype: dtype, format: format)
        }
        return (network, store)
    }

    /// In float64 there; eighteen layers behind each other make 4e-5 of PyTorch's own rounding in float32.
    @Test(arguments: [MemoryFormat.channelsLast, .contiguous]) func agreesWithPyTorch(format: MemoryFormat) throws {
        let (network, store) = try small(format: format)
        let expected = try store.tensor("enlarged")
        let enlarged = try network(store.tensor("picture"))
        #expect(enlarged.shape == [1, 3, 76, 92] && enlarged.dtype == .float32)
        let error = try (enlarged - expected).absolute().maximum().item()
        #expect(error < 2e-4, "\(error)")
    }

    /// Tiles of all sizes make the same picture: they have around them what the convolutions of 3 x 3 reach.
    @Test(arguments: [9, 30, 41, 512]) func tilesLeaveNoSeam(side: Int) throws {
        let (network, _) = try small()
        #expect(SPAN.reach == 3 + network.blocks.reduce(0) { $0 + $1.convolutions.count })
        var random = RandomGenerator(seed: 3)
        let pictures = try random.normal([2, 3, 23, 61]).clamped(to: -1...1)
        let whole = try Tensor.concatenate((0..<2).map { try network(pictures.rows($0..<$0 + 1)) }, along: 0)
        let error = try (network(pictures, tile: side) - whole).absolute().maximum().item()
        #expect(error < 2e-4, "\(error)")
    }

    @Test func whatItDoesNotTake() throws {
        let (network, _) = try small()
        for shape in [[3, 8, 8], [1, 1, 8, 8], [0, 3, 8, 8]] {
            #expect(throws: ModelError.self) { try network(.zeros(shape)) }
        }
        #expect(throws: ModelError.self) { try network(.zeros([1, 3, 8, 8]), tile: 0) }
    }

    static let isThere = NetworkLibrary.isAvailable(.spanX4)

    /// The weights of set-up: smooth waves, shrunk by their means, come back better than from a bicubic enlargement; a flat picture stays flat.
    @Test(.enabled(if: isThere, "SPAN was not fetched: make setup")) func enlargesWaves() throws {
        let network = try SPAN()
        var values: [Double] = []
        for channel in 0..<3 {
            for y in 0..<96 {
                for x in 0..<128 {
                    let edge = Double(x) + 0.4 * Double(y) > 70 ? 0.4 : -0.4
                    values.append(edge + 0.3 * sin(Double(x + 2 * channel) / 3) * cos(Double(y) / 4))
                }
            }
        }
        let truth = try Tensor(values, shape: [1, 3, 96, 128]).to(.float32)
        let small = try truth.averagePooled(4)
        let enlarged = try network(small)
        let bicubic = try small.resizedBicubic(height: 96, width: 128)
        #expect(try (enlarged - truth).norm() < 0.8 * (bicubic - truth).norm())
        for level in [-0.9, 0, 0.7] {
            let flat = try network(.full([1, 3, 12, 20], level))
            let middle = try flat.narrow(2, from: 8, count: 32).narrow(3, from: 8, count: 64)
            #expect(try (middle - level).absolute().maximum().item() < 0.05)
        }
    }
}
