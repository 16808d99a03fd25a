import Foundation
import TensorKit
import TestSupport
import Testing

@Suite struct TensorTests {
    @Test func elementsComeBackInRowMajorOrder() throws {
        let x = try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
        #expect(x.shape == [2, 3])
        #expect(x.strides == [3, 1])
        #expect(x.dtype == .float32)
        #expect(x.device == .cpu)
        #expect(try x.transposed(0, 1).array() == [1, 4, 2, 5, 3, 6] as [Float])
    }

    @Test(arguments: DType.allCases) func everyTypeCanBeMade(type: DType) throws {
        let x = try Tensor.zeros([3, 2], dtype: type)
        #expect(x.dtype == type)
        #expect(x.count == 6)
        try x.withUnsafeBytes { #expect($0.count == 6 * type.byteCount) }
    }

    @Test func wrongNumberOfValuesIsRefused() {
        #expect(throws: TensorError.invalidArgument("3 values cannot fill a tensor of the shape [2, 2].")) {
            try Tensor([1, 2, 3] as [Float], shape: [2, 2])
        }
    }

    @Test func errorsCarryPyTorchsMessage() throws {
        let a = try Tensor.ones([2, 3])
        let b = try Tensor.ones([4, 5])
        do {
            _ = try a.multiplied(by: b)
            Issue.record("a product of matrices that do not fit was accepted")
        } catch {
            #expect("\(error)".contains("aten::matmul failed"))
            let engine = try Engine.load()
            // Before 2.13 PyTorch prints its message instead of handing it over.
            if engine.version.compare("2.13", options: .numeric) != .orderedAscending {
                #expect("\(error)".contains("2x3") && "\(error)".contains("4x5"))
            }
        }
    }

    @Test func numbersTakeTheTensorsType() throws {
        for type in [DType.float32, .bfloat16, .float16, .float64] {
            let x = try Tensor.ones([2], dtype: type)
            for result in [try x * 2.5, try x + 1.5, try x - 0.5, try x / 4] { #expect(result.dtype == type) }
            #expect(try (x * 2.5 + 1.5 - 0.5).array() == [3.5, 3.5] as [Double])
        }
    }

    @Test func integersAddExactly() throws {
        let x = try Tensor([1, 2, 1 << 40] as [Int64], shape: [3])
        #expect(try (x + x).array() == [2, 4, 1 << 41] as [Int64])
        #expect(try (x - 1).array() == [0, 1, (1 << 40) - 1] as [Int64])
    }

    @Test func arithmeticBroadcasts() throws {
        let row = try Tensor([1, 2, 3] as [Float], shape: [1, 3])
        let column = try Tensor([10, 20] as [Float], shape: [2, 1])
        #expect(try (row + column).array() == [11, 12, 13, 21, 22, 23] as [Float])
        #expect(try row.adding(column, times: 0.5).array() == [6, 7, 8, 11, 12, 13] as [Float])
        #expect(try (-row).array() == [-1, -2, -3] as [Float])
        #expect(try row.clamped(to: 1.5...2.5).array() == [1.5, 2, 2.5] as [Float])
        #expect(try row.power(2).array() == [1, 4, 9] as [Float])
    }

    // MARK: Value semantics

    @Test func changingATensorDoesNotShowInItsCopy() throws {
        var a = try Tensor.ones([4])
        let b = a
        try a.multiply(by: 3)
        #expect(try a.array() == [3, 3, 3, 3] as [Float])
        #expect(try b.array() == [1, 1, 1, 1] as [Float])
    }

    @Test func changingATensorDoesNotShowInItsViews() throws {
        var a = try Tensor.ones([4])
        let view = try a.narrow(0, from: 1, count: 2)
        try a.multiply(by: 3)
        #expect(try view.array() == [1, 1] as [Float])
        var other = try a.reshaped([2, 2])
        try other.multiply(by: 2)
        #expect(try a.array() == [3, 3, 3, 3] as [Float])
        #expect(try other.array() == [6, 6, 6, 6] as [Float])
    }

    @Test func changingATensorDoesNotShowThroughAnIdentityConversion() throws {
        var a = try Tensor.ones([4])
        let same = try a.to(.float32).contiguous()
        try a.multiply(by: 3)
        #expect(try same.array() == [1, 1, 1, 1] as [Float])
    }

    @Test func uniquelyHeldMemoryIsChangedInPlace() throws {
        var a = try Tensor.ones([4])
        let before = try a.withUnsafeBytes { $0.baseAddress }
        try a.multiply(by: 3)
        try a.formRelu()
        try a.formSilu()
        #expect(try a.withUnsafeBytes { $0.baseAddress } == before)
    }

    @Test func rowsCanBeReplaced() throws {
        var a = try Tensor.zeros([3, 2])
        let kept = a
        try a.replace(along: 0, from: 1, with: Tensor.ones([1, 2]))
        #expect(try a.array() == [0, 0, 1, 1, 0, 0] as [Float])
        #expect(try kept.array() == [Float](repeating: 0, count: 6))
    }

    // MARK: Memory

    @Test func channelsLastKeepsShapeAndValues() throws {
        let x = try Tensor.arange(2 * 3 * 4 * 5).reshaped([2, 3, 4, 5])
        let y = try x.contiguous(.channelsLast)
        #expect(y.shape == x.shape)
        #expect(y.strides == [60, 1, 15, 3])
        #expect(try y.array() == x.array(of: Float.self))
        #expect(try Tensor.empty([2, 3, 4, 5], format: .channelsLast).strides == [60, 1, 15, 3])
    }

    final class Block: Sendable {
        let bytes: [Float]
        let onDeath: @Sendable () -> Void
        init(_ bytes: [Float], onDeath: @escaping @Sendable () -> Void) {
            self.bytes = bytes
            self.onDeath = onDeath
        }
        deinit { onDeath() }
    }

    final class Flag: @unchecked Sendable { var isSet = false }

    @Test func borrowedMemoryLivesAsLongAsItsTensorsAndIsNeverWritten() throws {
        let dead = Flag()
        let pointer = UnsafeMutablePointer<Float>.allocate(capacity: 4)
        defer { pointer.deallocate() }
        for index in 0..<4 { pointer[index] = Float(index) }
        var owner: Block? = Block([]) { dead.isSet = true }
        var x: Tensor? = try Tensor(borrowing: pointer, shape: [2, 2], dtype: .float32, owner: #require(owner))
        owner = nil
        var view: Tensor? = try x?.select(0, 1)
        x = nil
        if try Engine.load().version.compare("2.11", options: .numeric) != .orderedAscending { #expect(!dead.isSet) }
        #expect(try view?.array() == [2, 3] as [Float])
        try view?.multiply(by: 2)
        #expect(pointer[3] == 3)
        view = nil
        #expect(dead.isSet)
    }

    // MARK: Shape

    @Test func concatenationStackingAndPadding() throws {
        let a = try Tensor.arange(3)
        #expect(try Tensor.concatenate([a, a], along: 0).array() == [0, 1, 2, 0, 1, 2] as [Float])
        #expect(try Tensor.stack([a, a], along: 1).shape == [3, 2])
        let image = try a.reshaped([1, 1, 1, 3])
        #expect(try image.padded([2, 1, 0, 0], .reflect).array() == [2, 1, 0, 1, 2, 1] as [Float])
        #expect(try image.padded([2, 1, 0, 0], .replicate).array() == [0, 0, 0, 1, 2, 2] as [Float])
        #expect(try image.padded([2, 1, 0, 0], .circular).array() == [1, 2, 0, 1, 2, 0] as [Float])
        #expect(try image.padded([1, 1, 0, 0], .constant(7)).array() == [7, 0, 1, 2, 7] as [Float])
        #expect(try a.rolled(1, along: 0).array() == [2, 0, 1] as [Float])
        #expect(try a.gathered([2, 2, 0], along: 0).array() == [2, 2, 0] as [Float])
    }

    @Test func reductions() throws {
        let x = try Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])
        #expect(try x.sum().item() == 10)
        #expect(try x.sum(along: [0]).array() == [4, 6] as [Float])
        #expect(try x.mean(along: [1], keepingDimensions: true).shape == [2, 1])
        #expect(try x.maximum().item() == 4)
        #expect(try x.dot(x) == 30)
    }

    @Test func innerProductsOfManyElementsStayAccurate() throws {
        // Plain float32 summation of 2^25 equal numbers stops growing at 2^24.
        let x = try Tensor.full([1 << 25], 1)
        #expect(try x.dot(x) == Double(1 << 25))
        #expect(try x.norm() == Double(1 << 25).squareRoot())
    }
}

@Suite struct LayerTests {
    @Test func convolutionAgainstItsDefinition() throws {
        let x = try Tensor([1, 2, 3, 4, 5, 6, 7, 8, 9] as [Float], shape: [1, 1, 3, 3])
        let w = try Tensor([1, 0, 0, -1] as [Float], shape: [1, 1, 2, 2])
        #expect(try x.convolved(w).array() == [-4, -4, -4, -4] as [Float])
        #expect(try x.convolved(w, padding: 1).shape == [1, 1, 4, 4])
        let b = try Tensor([10] as [Float], shape: [1])
        #expect(try x.convolved(w, bias: b).array() == [6, 6, 6, 6] as [Float])
    }

    @Test func transposedConvolutionIsTheAdjoint() throws {
        var random = RandomGenerator(seed: 1)
        let w = try random.normal([4, 3, 2, 2])
        let x = try random.normal([2, 3, 6, 8])
        let y = try random.normal([2, 4, 3, 4])
        let left = try x.convolved(w, stride: 2).dot(y)
        let right = try x.dot(y.transposeConvolved(w, stride: 2))
        #expect(abs(left - right) < 1e-4 * abs(left))
    }

    @Test func groupNormalizationHasMeanZeroAndVarianceOne() throws {
        var random = RandomGenerator(seed: 2)
        let x = try random.normal([2, 8, 5, 7]) * 3 + 1
        let y = try x.groupNormalized(groups: 4, epsilon: 0).reshaped([2, 4, -1])
        for value in try y.mean(along: [2]).array(of: Double.self) { #expect(abs(value) < 1e-5) }
        for value in try y.squared().mean(along: [2]).array(of: Double.self) { #expect(abs(value - 1) < 1e-4) }
    }

    @Test func attentionToOneTokenReturnsItsValue() throws {
        var random = RandomGenerator(seed: 3)
        let q = try random.normal([1, 2, 5, 4])
        let k = try random.normal([1, 2, 1, 4])
        let v = try random.normal([1, 2, 1, 4])
        let expected = try v.expanded([1, 2, 5, 4])
        #expect(try (q.attention(keys: k, values: v) - expected).absolute().maximum().item() < 1e-6)
    }

    @Test func attentionInBFloat16AgreesWithFloat32OverManyKeys() throws {
        var random = RandomGenerator(seed: 4)
        // Queries in more than one block, of unequal length; fewer queries than keys; values wider than the keys.
        for (queries, keys, depth, width) in [(3001, 3001, 8, 8), (37, 600, 64, 64), (600, 512, 16, 24)] {
            func heads(_ tokens: Int, _ depth: Int) throws -> Tensor {
                try random.normal([2, tokens, 3, depth]).to(.bfloat16).transposed(1, 2)
            }
            let (q, k, v) = (try heads(queries, depth), try heads(keys, depth), try heads(keys, width))
            let exact = try q.to(.float32).attention(keys: k.to(.float32), values: v.to(.float32))
            let narrow = try q.attention(keys: k, values: v)
            #expect(narrow.shape == exact.shape && narrow.dtype == .bfloat16)
            #expect(try relativeError(narrow.to(.float32), exact) < 1e-2)
        }
    }

    @Test(arguments: [(DType.float32, 2e-6), (.bfloat16, 5e-3)])
    func fullyConnectedLayersAgreeWithMatrixProducts(_ dtype: DType, _ tolerance: Double) throws {
        var random = RandomGenerator(seed: 5)
        // One small enough for the BLAS and one for oneDNN, with and without a bias, over more than one leading dimension.
        for (rows, input, output) in [(3, 5, 7), (300, 400, 300)] {
            let x = try random.normal([2, rows, input]).to(dtype)
            let w = try (random.normal([output, input]) / Double(input).squareRoot()).to(dtype)
            for bias in [nil, try random.normal([output]).to(dtype)] {
                var exact = try x.to(.float64).multiplied(by: w.to(.float64).transposed(0, 1))
                if let bias { exact = try exact + bias.to(.float64) }
                let plain = try x.linear(w, bias: bias)
                #expect(plain.shape == [2, rows, output] && plain.dtype == dtype)
                #expect(try relativeError(plain, exact) < tolerance)
                #expect(try relativeError(x.linearGelu(w, bias: bias), exact.gelu()) < tolerance)
            }
        }
    }

    @Test func largeConvolutionsAgreeInBothMemoryFormats() throws {
        var random = RandomGenerator(seed: 6)
        // Winograd's algorithm has those of 64 channels in row-major memory; the sizes are no multiples of its tiles, and the last two images
        // go through it in strips. Products of matrices have those of one tap.
        for (n, input, output, height, width, taps) in [
            (1, 64, 64, 23, 29, 3), (3, 80, 64, 31, 17, 3), (1, 64, 96, 512, 1, 3), (2, 64, 64, 21, 8192, 3),
            (1, 40, 24, 23, 29, 1), (3, 24, 40, 9, 7, 1),
        ] {
            let x = try random.normal([n, input, height, width])
            let w = try random.normal([output, input, taps, taps]) / Double(8 * taps)
            for bias in [nil, try random.normal([output])] {
                let exact = try x.to(.float64).convolved(w.to(.float64), bias: bias?.to(.float64), padding: taps / 2)
                #expect(try relativeError(x.convolved(w, bias: bias, padding: taps / 2), exact) < 1e-5)
                #expect(
                    try relativeError(x.contiguous(.channelsLast).convolved(w, bias: bias, padding: taps / 2), exact)
                        < 1e-6)
            }
        }
    }

    /// Kernels that are called past PyTorch's checks must not see what those would refuse.
    @Test func largeOperandsThatDoNotFitAreRefused() throws {
        let x = try Tensor.zeros([1, 64, 32, 32])
        let w = try Tensor.zeros([64, 64, 3, 3])
        #expect(throws: TensorError.self) { try x.convolved(w, bias: .zeros([3]), padding: 1) }
        #expect(throws: TensorError.self) { try x.convolved(.zeros([64, 65, 3, 3]), padding: 1) }
        #expect(throws: TensorError.self) { try x.convolved(.zeros([64, 65, 1, 1])) }
        #expect(throws: TensorError.self) { try x.convolved(.zeros([64, 64, 1, 1]), bias: .zeros([3])) }
        let tokens = try Tensor.zeros([600, 400])
        #expect(throws: TensorError.self) { try tokens.linear(.zeros([300, 400]), bias: .zeros([7])) }
        #expect(throws: TensorError.self) { try tokens.linearGelu(.zeros([300, 401])) }
        let k = try Tensor.zeros([1, 2, 600, 8], dtype: .bfloat16)
        #expect(throws: TensorError.self) {
            try Tensor.zeros([1, 2, 5, 9], dtype: .bfloat16).attention(keys: k, values: k)
        }
        #expect(try Tensor.zeros([1, 2, 0, 8], dtype: .bfloat16).attention(keys: k, values: k).shape == [1, 2, 0, 8])
    }

    @Test func largeProductsTakeAnyLayout() throws {
        var random = RandomGenerator(seed: 7)
        let x = try random.normal([400, 600]).transposed(0, 1)
        let w = try random.normal([400, 300]).transposed(0, 1)
        let exact = try x.to(.float64).multiplied(by: w.to(.float64).transposed(0, 1))
        #expect(try relativeError(x.linear(w), exact) < 2e-6)
        #expect(try relativeError(x.linear(w.contiguous()), exact) < 2e-6)
    }

    @Test func activationsAndResampling() throws {
        let x = try Tensor([-1, 0, 2] as [Float], shape: [3])
        #expect(try x.relu().array() == [0, 0, 2] as [Float])
        let silu: [Float] = try x.silu().array()
        #expect(abs(silu[2] - 2 / (1 + exp(-2))) < 1e-6)
        let gelu: [Float] = try x.gelu().array()
        #expect(abs(gelu[2] - 1.9544997) < 1e-6)
        let image = try Tensor.arange(4).reshaped([1, 1, 2, 2])
        let doubled = try image.upsampledNearest(height: 4, width: 4)
        #expect(try doubled.averagePooled(2).array() == image.array(of: Float.self))
        #expect(try image.pixelUnshuffled(2).pixelShuffled(2).array() == image.array(of: Float.self))
    }
}

@Suite struct RandomGeneratorTests {
    @Test func singularValueDecompositionMultipliesBack() throws {
        for shape in [[3, 5], [5, 3], [4, 4]] {
            var random = RandomGenerator(seed: 3)
            let a = try random.normal(shape, dtype: .float64)
            let (left, values, right) = try a.singularValueDecomposition()
            #expect(left.shape == [shape[0], shape.min()!] && right.shape == [shape.min()!, shape[1]])
            #expect(try ((left * values).multiplied(by: right) - a).norm() < 1e-13)
            #expect(
                try (left.transposed(0, 1).multiplied(by: left).sum().item() - Double(values.count)).magnitude < 1e-13)
            #expect(try (values - a.singularValues()).norm() < 1e-13)
        }
    }

    @Test func sameSeedSameNumbers() throws {
        var a = RandomGenerator(seed: 7)
        var b = RandomGenerator(seed: 7)
        var c = RandomGenerator(seed: 7, stream: 1)
        let first: [Float] = try a.normal([1001]).array()
        #expect(try first == b.normal([1001]).array())
        #expect(try first != c.normal([1001]).array())
        #expect(try first != a.normal([1001]).array())
    }

    @Test func normalNumbersHaveTheRightMoments() throws {
        var random = RandomGenerator(seed: 11)
        let x = try random.normal([200_000], dtype: .float64)
        #expect(try abs(x.mean().item()) < 0.01)
        #expect(try abs(x.squared().mean().item() - 1) < 0.015)
        #expect(try abs(x.power(4).mean().item() - 3) < 0.1)
    }

    /// Any part of the stream, in any pieces, is that of `uniform`, on [-b, b) in place of [0, 1).
    @Test func filledNumbersAreThoseOfTheStream() throws {
        var random = RandomGenerator(seed: 0x1_0000_0007, stream: 3)
        let filler = random
        let count = 200_003
        let expected: [Double] = try random.uniform([count], dtype: .float64).array()
        for (start, size) in [(0, count), (131_068, 17), (4, 131_072)] {
            let found = [Float](unsafeUninitializedCapacity: size) { buffer, initialized in
                filler.fillUniform(UnsafeMutableBufferPointer(rebasing: buffer[..<size]), bound: 0.5, from: start)
                initialized = size
            }
            #expect(zip(found, expected[start...]).allSatisfy { abs(Double($0) - ($1 < 0.5 ? $1 : $1 - 1)) < 1e-7 })
        }
    }

    @Test func permutationsHoldEveryIndexOnce() {
        var random = RandomGenerator(seed: 5)
        let order = random.permutation(1000)
        #expect(order.sorted() == Array(0..<1000))
        #expect(order != Array(0..<1000))
    }

    /// Numbers that are drawn side by side are those that come one after the other.
    @Test func normalNumbersDoNotDependOnHowManyAreDrawn() throws {
        var (whole, parts) = (RandomGenerator(seed: 5, stream: 2), RandomGenerator(seed: 5, stream: 2))
        let all: [Float] = try whole.normal([3, 50_001]).array()
        var drawn: [Float] = []
        for count in [4, 65_536, 12, 84_451] { drawn += try parts.normal([count]).array(of: Float.self) }
        #expect(all == drawn && Set(all).count > 100_000)
        // Both stand at the same place.
        #expect(try whole.normal([5]).array(of: Float.self) == parts.normal([5]).array(of: Float.self))
    }
}
