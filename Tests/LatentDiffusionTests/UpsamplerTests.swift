import Foundation
import Networks
import TensorKit
import TestSupport
import Testing
import Weights

@testable import LatentDiffusion

/// An upsampler against what it stands for: every pixel repeated, and a convolution.
@Suite struct UpsamplerTests {
    static func upsampler(_ channels: Int, _ dtype: DType, _ format: MemoryFormat) throws -> Upsampler {
        var random = RandomGenerator(seed: 4)
        let folder = try TemporaryFolder()
        let file = URL(fileURLWithPath: folder.path).appendingPathComponent("up.safetensors")
        try SafetensorsWriter.write(
            ["conv.weight": random.normal([channels, channels, 3, 3]) / 8, "conv.bias": random.normal([channels])],
            to: file)
        return try WeightStore(at: file).build(dtype: dtype, format: format) { try Upsampler($0, channels) }
    }

    static func plainly(_ upsampler: Upsampler, _ x: Tensor, _ height: Int, _ width: Int) throws -> Tensor {
        try upsampler.conv(x.upsampledNearest(height: height, width: width))
    }

    @Test(arguments: [(1, 1), (1, 6), (5, 7), (8, 12)], [MemoryFormat.contiguous, .channelsLast])
    func doublingIsRepeatingAndConvolving(size: (Int, Int), format: MemoryFormat) throws {
        let upsampler = try Self.upsampler(8, .float32, format)
        #expect((upsampler.doubling != nil) == (format == .channelsLast))
        var random = RandomGenerator(seed: 9)
        let x = try random.normal([2, 8, size.0, size.1]).contiguous(format)
        let expected = try Self.plainly(upsampler, x, 2 * size.0, 2 * size.1)
        #expect(try relativeError(upsampler(x), expected) < 1e-6)
        #expect(try relativeError(upsampler(x, to: (2 * size.0, 2 * size.1)), expected) < 1e-6)
        // Where a size was odd, the map that is met next is a row or a column short.
        let odd = try Self.plainly(upsampler, x, 2 * size.0 - 1, 2 * size.1)
        #expect(try relativeError(upsampler(x, to: (2 * size.0 - 1, 2 * size.1)), odd) < 1e-6)
    }

    static let folding = Kernels(autotunesConvolutions: false, normsChannelsLast: false, foldsEnlargement: true)

    @Test(arguments: [(1, 1), (1, 6), (5, 7), (8, 12)])
    func foldedIsRepeatingAndConvolving(size: (Int, Int)) throws {
        try Kernels.$chosen.withValue(Self.folding) {
            let upsampler = try Self.upsampler(8, .float32, .channelsLast)
            #expect(upsampler.doubling == nil && upsampler.quarters?.count == 4)
            #expect(try Self.upsampler(8, .float32, .contiguous).quarters == nil)
            var random = RandomGenerator(seed: 9)
            let x = try random.normal([2, 8, size.0, size.1]).contiguous(.channelsLast)
            let expected = try Self.plainly(upsampler, x, 2 * size.0, 2 * size.1)
            let y = try upsampler(x)
            #expect(try relativeError(y, expected) < 1e-6)
            #expect(y.strides == expected.strides)
            let odd = try Self.plainly(upsampler, x, 2 * size.0 - 1, 2 * size.1)
            #expect(try relativeError(upsampler(x, to: (2 * size.0 - 1, 2 * size.1)), odd) < 1e-6)
        }
    }

    /// Summed weights are rounded once more, and there are fewer products to round.
    @Test(arguments: [nil, folding]) func roundingIsNoWorse(kernels: Kernels?) throws {
        let exact = try Self.upsampler(32, .float32, .channelsLast)
        let narrow = try Kernels.$chosen.withValue(kernels) { try Self.upsampler(32, .bfloat16, .channelsLast) }
        var random = RandomGenerator(seed: 9)
        let x = try random.normal([1, 32, 12, 16]).contiguous(.channelsLast)
        let expected = try Self.plainly(exact, x, 24, 32)
        let error = try Kernels.$chosen.withValue(kernels) { try relativeError(narrow(x.to(.bfloat16)), expected) }
        #expect(try error < 1.2 * relativeError(Self.plainly(narrow, x.to(.bfloat16), 24, 32), expected))
        #expect(error < 4e-3)
    }
}
