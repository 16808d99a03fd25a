import TestSupport
import Testing

@testable import TensorKit

/// Ways that are chosen for GPUs, on the CPU: the numbers of the plain way.
@Suite struct KernelTests {
    static let ways = [true, false].map {
        Kernels(autotunesConvolutions: $0, normsChannelsLast: $0, foldsEnlargement: $0)
    }

    @Test(arguments: ways, [DType.float32, .bfloat16])
    func convolutionIsTheEnginesOwn(kernels: Kernels, dtype: DType) throws {
        var random = RandomGenerator(seed: 3)
        for (stride, padding, groups, taps) in [(1, 1, 1, 3), (2, 0, 1, 3), (1, 0, 2, 1), (2, 1, 4, 2)] {
            let x = try random.normal([2, 8, 9, 13]).to(dtype)
            let w = try random.normal([12, 8 / groups, taps, taps]).to(dtype)
            let b = try random.normal([12]).to(dtype)
            for format in [MemoryFormat.contiguous, .channelsLast] {
                let (x, w) = (try x.contiguous(format), try w.contiguous(format))
                for bias in [b, nil] {
                    let expected = try Tensor.dispatch(
                        "aten::conv2d", "", .tensor(x), .tensor(w), .optional(bias), .ints([stride, stride]),
                        .ints([padding, padding]), .ints([1, 1]), .int(groups))
                    for allowsTF32 in [true, false] {
                        let y = try Kernels.$chosen.withValue(kernels) {
                            try x.convolved(
                                w, bias: bias, stride: stride, padding: padding, groups: groups, allowsTF32: allowsTF32)
                        }
                        #expect(y.strides == expected.strides && y.dtype == dtype)
                        #expect(try relativeError(y, expected) < 1e-6)
                    }
                }
            }
        }
    }

    @Test(arguments: [DType.float32, .bfloat16, .float16], [true, false])
    func groupNormIsTheEnginesOwn(dtype: DType, silu: Bool) throws {
        var random = RandomGenerator(seed: 5)
        // A mean far from zero, as maps have, and sizes of one pixel and one group, too.
        for (shape, groups) in [([2, 12, 5, 7], 4), ([1, 8, 1, 1], 2), ([3, 6, 9, 2], 1), ([2, 5, 4, 4], 5)] {
            let exact = try (random.normal(shape) * 2 + 3).to(dtype).to(.float32)
            let (weight, bias) = (try random.normal([shape[1]]), try random.normal([shape[1]]))
            let plain = try exact.groupNormalized(groups: groups, weight: weight, bias: bias, epsilon: 1e-6)
            let expected = silu ? try plain.silu() : plain
            for parameters in [DType.float32, dtype] {
                let (w, b) = (try weight.to(parameters), try bias.to(parameters))
                let x = try exact.to(dtype).contiguous(.channelsLast)
                let y = try #require(
                    try x.channelsLastNormalized(groups: groups, weight: w, bias: b, epsilon: 1e-6, silu: silu))
                #expect(y.dtype == dtype && y.isChannelsLast)
                let rounding = dtype == .float32 ? 1e-5 : dtype == .float16 ? 1e-3 : 8e-3
                #expect(try relativeError(y.to(.float32), expected) < rounding)
                // The input is as it was.
                #expect(try relativeError(x.to(.float32), exact) == 0)
            }
        }
        let rows = try random.normal([2, 8, 5, 7]).to(dtype)
        let one = try Tensor.ones([8], dtype: dtype)
        #expect(try rows.channelsLastNormalized(groups: 2, weight: one, bias: one, epsilon: 1, silu: silu) == nil)
    }
}
