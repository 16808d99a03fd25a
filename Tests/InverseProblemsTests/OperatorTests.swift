import Foundation
import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

@Suite struct OperatorTests {
    // MARK: Blur

    /// PyTorch's own padding and dense convolution, where its padding is defined.
    @Test(arguments: BlurBoundary.allCases) func blurIsThePaddedConvolution(boundary: BlurBoundary) throws {
        let (size, sigma) = (13, 2.2)
        let line = (-6...6).map { exp(-Double($0 * $0) / (2 * sigma * sigma)) }
        let sum = line.reduce(0, +)
        let kernel = try Tensor(line.flatMap { a in line.map { a * $0 / (sum * sum) } }, shape: [1, 1, size, size])
        let x = try random([2, 3, 9, 14], seed: 1, dtype: .float64)
        let mode: Tensor.Padding =
            switch boundary {
            case .reflect: .reflect
            case .circular: .circular
            case .zero: .constant(0)
            }
        let expected = try x.reshaped([6, 1, 9, 14]).padded([6, 6, 6, 6], mode).convolved(kernel).reshaped([
            2, 3, 9, 14,
        ])
        let result = try GaussianBlur(size: size, sigma: sigma, boundary: boundary).apply(x)
        #expect(try relativeDistance(result, expected) < 1e-12)
    }

    @Test func blurKeepsConstants() throws {
        for boundary in [BlurBoundary.reflect, .circular] {
            for shape in [[1, 1, 1, 1], [1, 1, 2, 3], [2, 3, 100, 70]] {
                let x = try Tensor.full(shape, 0.7, dtype: .float64)
                #expect(try relativeDistance(GaussianBlur(boundary: boundary).apply(x), x) < 1e-14)
            }
        }
    }

    @Test func smallTapsAreLeftOut() {
        #expect(GaussianBlur.taps(size: 61, sigma: 3).count < 22)
        #expect(GaussianBlur.taps(size: 9999, sigma: 0.3).count < 4)
        #expect(GaussianBlur.taps(size: 21, sigma: 3).count == 11)
        #expect(GaussianBlur.taps(size: 21, sigma: 0) == [1])
        for (size, sigma) in [(61, 3.0), (9999, 0.3), (21, 3), (9999, 1e300), (3, 1e-300)] {
            let half = GaussianBlur.taps(size: size, sigma: sigma)
            #expect(abs(half[0] + 2 * half.dropFirst().reduce(0, +) - 1) < 1e-12)
        }
    }

    @Test func lowPassReachesFourSigma() throws {
        #expect(try GaussianBlur.lowPass(sigma: 0).size == 15)
        #expect(try GaussianBlur.lowPass(sigma: 1.2).size == 15)
        #expect(try GaussianBlur.lowPass(sigma: 3).size == 25)
        #expect(try GaussianBlur.lowPass(sigma: 3, taps: 7).size == 7)
        #expect(try GaussianBlur.lowPass(sigma: 1e300).size == 9999)
        let x = try random([1, 3, 8, 8], seed: 1)
        #expect(try GaussianBlur.lowPass(sigma: 0).apply(x).array(of: Float.self) == x.array(of: Float.self))
    }

    @Test func impossibleBlursAreRefused() {
        for size in [0, -3, 4, 10_001, .max, .min] {
            #expect(throws: ProblemError.self) { try GaussianBlur(size: size, sigma: 1) }
        }
        for sigma in [-1, .nan, .infinity] {
            #expect(throws: ProblemError.self) { try GaussianBlur(size: 3, sigma: sigma) }
            #expect(throws: ProblemError.self) { try GaussianBlur.lowPass(sigma: sigma) }
        }
    }

    // MARK: Pooling

    @Test func poolingAveragesBlocks() throws {
        let x = try Tensor([1, 2, 3, 4, 5, 6, 7, 8] as [Float], shape: [1, 1, 2, 4])
        let pooling = try AveragePooling(factor: 2)
        let y = try pooling.apply(x)
        #expect(try y.array(of: Float.self) == [3.5, 5.5])
        #expect(
            try pooling.adjoint(y).array(of: Float.self) == [0.875, 0.875, 1.375, 1.375, 0.875, 0.875, 1.375, 1.375])
    }

    @Test func indivisibleFramesAreToldWhatToDo() throws {
        let error = #expect(throws: ProblemError.self) {
            try AveragePooling(factor: 4).outputShape(for: [1, 3, 721, 1278])
        }
        let text = try #require(error).description
        #expect(text.contains("1276x720") && text.contains("1280x724"))
        for factor in [0, -1, 1025, .max] { #expect(throws: ProblemError.self) { try AveragePooling(factor: factor) } }
    }

    // MARK: Mask

    @Test func randomMaskRemovesItsRatio() throws {
        for ratio in [0, 0.1, 0.5, 0.92, 1] {
            let mask = try Mask.random(ratio: ratio, seed: 9, height: 40, width: 25).mask
            #expect(try mask.sum().item() == (1000 * (1 - ratio)).rounded())
        }
        func values(_ seed: UInt64) throws -> [Float] {
            try Mask.random(ratio: 0.5, seed: seed, height: 16, width: 16).mask.array()
        }
        #expect(try values(1) == values(1))
        #expect(try values(1) != values(2))
        for ratio in [-0.1, 1.1, .nan] {
            #expect(throws: ProblemError.self) { try Mask.random(ratio: ratio, seed: 1, height: 4, width: 4) }
        }
        #expect(throws: ProblemError.self) { try Mask.random(ratio: 0.5, seed: 1, height: 0, width: 4) }
        #expect(throws: ProblemError.self) { try Mask.random(ratio: 0.5, seed: 1, height: -4, width: -4) }
    }

    @Test func maskIsTheSameForAllFramesAndChannels() throws {
        let mask = try Mask(Tensor([true, false, false, true], shape: [2, 2]))
        let y = try mask.apply(.full([2, 3, 2, 2], 0.5))
        #expect(try y.array(of: Float.self) == (0..<6).flatMap { _ in [0.5, 0, 0, 0.5] as [Float] })
    }

    @Test func wrongMasksAreRefused() throws {
        #expect(throws: ProblemError.maskSize(mask: [4, 4], height: 4, width: 6)) {
            try Mask.random(ratio: 0.5, seed: 1, height: 4, width: 4).apply(.zeros([1, 3, 4, 6]))
        }
        #expect(ProblemError.maskSize(mask: [4, 5], height: 4, width: 6).description.contains("5x4"))
        #expect(throws: ProblemError.self) { try Mask(.full([4, 4], 0.5)) }
        #expect(throws: ProblemError.self) { try Mask(.full([4, 4], .nan)) }
        #expect(throws: ProblemError.self) { try Mask(.ones([1, 4, 4])) }
        #expect(throws: ProblemError.self) { try Mask(.ones([0, 4])) }
        for shape in [[3, 3, 4, 4], [3, 4, 4], [0, 1, 4, 4], [2, 1, 1, 4, 4]] {
            #expect(throws: ProblemError.self) { try Mask(.ones(shape)) }
        }
    }

    @Test func everyFrameHasItsMask() throws {
        let mask = try Mask(Tensor([true, false, false, true, false, true, true, false], shape: [2, 1, 2, 2]))
        let y = try mask.apply(.full([2, 3, 2, 2], 0.5))
        let frames = [[0.5, 0, 0, 0.5], [0, 0.5, 0.5, 0]] as [[Float]]
        #expect(try y.array(of: Float.self) == frames.flatMap { Array(repeating: $0, count: 3).flatMap(\.self) })
        #expect(mask.name == "mask 2x2 of each frame" && mask.mixesFrames)
        #expect(try !Mask(.ones([2, 2])).mixesFrames)
        let error = #expect(throws: ProblemError.maskFrames(2, frames: 3)) { try mask.apply(.zeros([3, 3, 2, 2])) }
        #expect(
            try #require(error).description
                == "There are 2 masks and 3 frames; give one mask for each frame, or one for all.")
        #expect(throws: ProblemError.maskFrames(2, frames: 1)) { try mask.adjoint(.zeros([1, 3, 2, 2])) }
        #expect(throws: ProblemError.maskSize(mask: [2, 2], height: 4, width: 6)) {
            try mask.apply(.zeros([2, 3, 4, 6]))
        }
    }

    // MARK: Grey

    @Test(arguments: [(Grey.Matrix.bt601, [0.299, 0.587, 0.114]), (.bt709, [0.2126, 0.7152, 0.0722])])
    func greyWeighsTheColours(matrix: Grey.Matrix, weights: [Double]) throws {
        let grey = Greyscale(matrix)
        let x = try Tensor([1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1] as [Double], shape: [4, 3, 1, 1])
        let expected = weights + [1]
        #expect(zip(try grey.apply(x).array(of: Double.self), expected).allSatisfy { abs($0 - $1) < 1e-12 })
        let back = try grey.adjoint(Tensor([2] as [Double], shape: [1, 1, 1, 1]))
        #expect(back.shape == [1, 3, 1, 1])
        #expect(zip(try back.array(of: Double.self), weights).allSatisfy { abs($0 - 2 * $1) < 1e-12 })
        // The norm that the operator says it has.
        let norm = weights.reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(norm > 0.66 && norm < 0.76)
        let form = try #require(try grey.separated(for: [1, 3, 4, 4]))
        #expect(try abs(form.norm() - norm) < 1e-12)
        #expect(grey.name == "grey (\(matrix.rawValue))" && !grey.mixesFrames)
    }

    @Test func greyIsMadeOfThreeChannels() {
        let grey = Greyscale(.bt601)
        for channels in [1, 2, 4] {
            let error = #expect(throws: ProblemError.self) { try grey.apply(.zeros([2, channels, 4, 4])) }
            #expect(error?.description.contains("\(channels) channels") == true)
        }
        for channels in [2, 3] { #expect(throws: ProblemError.self) { try grey.adjoint(.zeros([2, channels, 4, 4])) } }
    }

    // MARK: Temporal average

    @Test func averagesByHand() throws {
        let x = try Tensor([1, 2, 4, 8, 16] as [Double], shape: [5, 1, 1, 1])
        func average(_ boundary: TemporalBoundary, _ window: Int) throws -> [Double] {
            try TemporalAverage(window: window, boundary: boundary).apply(x).array(of: Double.self).map {
                $0 * Double(window)
            }
        }
        func expectEqual(_ a: [Double], _ b: [Double]) {
            #expect(a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) < 1e-12 }, "\(a) \(b)")
        }
        expectEqual(try average(.circular, 3), [19, 7, 14, 28, 25])
        expectEqual(try average(.replicate, 3), [4, 7, 14, 28, 40])
        expectEqual(try average(.valid, 3), [7, 14, 28])
        expectEqual(try average(.valid, 5), [31])
        // Wrapped around more than once: seven frames centred on each.
        expectEqual(try average(.circular, 7), [31 + 4 + 8, 31 + 8 + 16, 31 + 16 + 1, 31 + 1 + 2, 31 + 2 + 4])
        expectEqual(
            try average(.replicate, 7),
            [4 + 2 + 4 + 8, 3 + 2 + 4 + 8 + 16, 2 + 2 + 4 + 8 + 32, 1 + 2 + 4 + 8 + 48, 2 + 4 + 8 + 64])
        expectEqual(try average(.circular, 1), [1, 2, 4, 8, 16])
    }

    @Test func tooFewFramesAreToldWhatToDo() throws {
        let average = try TemporalAverage(window: 7, boundary: .valid)
        #expect(throws: ProblemError.tooFewFrames(6, window: 7)) { try average.apply(.zeros([6, 3, 4, 4])) }
        #expect(try average.apply(.zeros([7, 3, 4, 4])).shape == [1, 3, 4, 4])
        for window in [0, -7, 10_000, .max] {
            #expect(throws: ProblemError.self) { try TemporalAverage(window: window) }
        }
    }

    // MARK: Composition

    @Test func compositionRunsInOrder() throws {
        let (average, pooling) = (try TemporalAverage(window: 3, boundary: .valid), try AveragePooling(factor: 2))
        let x = try random([5, 3, 4, 6], seed: 1)
        let both = average.then(pooling)
        #expect(try both.outputShape(for: x.shape) == [3, 3, 2, 3])
        #expect(try relativeDistance(both.apply(x), pooling.apply(average.apply(x))) == 0)
        #expect(both.name.hasPrefix(average.name) && both.name.hasSuffix(pooling.name))
        #expect(throws: ProblemError.indivisible(height: 5, width: 6, factor: 2)) {
            try both.apply(.zeros([5, 3, 5, 6]))
        }
    }

    @Test func operatorsSeeThroughLayouts() throws {
        let x = try random([2, 3, 70, 66], seed: 1)
        let blur = try TemporalAverage(window: 3).then(GaussianBlur())
        #expect(try relativeDistance(blur.apply(x.contiguous(.channelsLast)), blur.apply(x)) == 0)
        let turned = try x.transposed(2, 3)
        #expect(try relativeDistance(blur.apply(turned), blur.apply(turned.copied().contiguous())) == 0)
    }

    @Test func operatorsWorkFromManyTasks() async throws {
        let problem = try TemporalAverage().then(GaussianBlur())
        let x = try random([8, 3, 65, 30], seed: 1)
        let expected = try problem.apply(x).array(of: Float.self)
        try await withThrowingTaskGroup(of: [Float].self) { group in
            for _ in 0..<4 { group.addTask { try problem.apply(x).array() } }
            for try await result in group { #expect(result == expected) }
        }
    }

    // MARK: Noise

    @Test func noiseHasItsSigma() throws {
        let x = try random([2, 3, 64, 64], seed: 1)
        func noisy(_ sigma: Double, _ seed: UInt64) throws -> [Float] {
            try addNoise(to: x, sigma: sigma, seed: seed).array()
        }
        let noise = try addNoise(to: x, sigma: 0.1, seed: 4) - x
        #expect(abs(try noise.norm() / Double(noise.count).squareRoot() - 0.1) < 0.002)
        #expect(abs(try noise.mean().item()) < 0.003)
        #expect(try noisy(0.1, 4) == noisy(0.1, 4))
        #expect(try noisy(0.1, 4) != noisy(0.1, 5))
        #expect(try noisy(0, 4) == x.array())
        for sigma in [-0.1, .nan, .infinity] {
            #expect(throws: ProblemError.self) { try addNoise(to: x, sigma: sigma, seed: 1) }
        }
    }
}
