import Foundation
import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

@Suite struct DequantizationTests {
    static let height = 96, width = 120

    /// An evening sky that moves: a step of 8 bits every six pixels or so.
    static func sky(frames: Int = 9) throws -> Tensor {
        var values: [Float] = []
        for frame in 0..<frames {
            for colour in 0..<3 {
                for y in 0..<height {
                    for x in 0..<width {
                        let (u, v) = (Double(x + 2 * frame), Double(y + frame))
                        values.append(Float(0.2 * sin(v / 150 + 1.3 * Double(colour)) + 0.1 * cos(u / 120 - v / 200)))
                    }
                }
            }
        }
        return try Tensor(values, shape: [frames, 3, height, width])
    }

    static func dequantize(
        _ problem: any LinearOperator, _ Y: Tensor, bits: Int = 8, noise: Double = NoiseLevel.rounding(toBits: 8),
        start: Tensor,
        error: Double = 0.1, iterations: Int = 2
    ) throws -> Tensor {
        let measurement = try VideoMeasurement(Y, operator: problem, noise: .sigma(noise))
        return try InverseProblems.dequantize(
            measurement, bits: bits, start: start, error: error, iterations: iterations)
    }

    /// What becomes of Y's error when the blur is undone, root mean square.
    private static func amplified(
        _ Y: Tensor, _ clean: Tensor, _ problem: any LinearOperator, _ shape: [Int]
    ) throws -> Double {
        let zero = try Tensor.zeros(shape)
        let noise = NoiseLevel.rounding(toBits: 8)
        let passed = try problem.proximal(Y - clean, around: zero, ratio: 0.01 / (noise * noise))
        return try passed.norm() / Double(passed.count).squareRoot()
    }

    /// Shrunk by 4 the sky has its steps every one or two pixels: less is left to tell.
    @Test(arguments: [("deblur", 0.5), ("deblur+", 0.5), ("sr4+", 0.8)]) func bandsGo(
        task: String, bound: Double
    ) throws {
        let truth = try Self.sky()
        let problem = try Problem(task: task).operator(height: Self.height, width: Self.width)
        let clean = try problem.apply(truth)
        let Y = try clean.rounded(toBits: 8)
        let start = try Y.resizedBicubic(height: Self.height, width: Self.width)
        let found = try Self.dequantize(problem, Y, start: start)
        #expect(try (found - Y).absolute().maximum().item() <= 1 / 255 * 1.001)
        #expect(try (found - clean).norm() < 0.9 * (Y - clean).norm())
        let (before, after) = (
            try Self.amplified(Y, clean, problem, truth.shape), try Self.amplified(found, clean, problem, truth.shape)
        )
        #expect(after < bound * before, "\(before) -> \(after)")
    }

    /// Where neighbouring pixels differ by many steps nothing can be told.
    @Test func whiteRoundingStays() throws {
        let truth = try (random([3, 3, Self.height, Self.width], seed: 1) * 0.5).clamped(to: -1...1)
        let problem = try GaussianBlur(size: 5, sigma: 0.7)
        let clean = try problem.apply(truth)
        let Y = try clean.rounded(toBits: 8)
        let found = try Self.dequantize(problem, Y, start: Y)
        #expect(try (found - clean).norm() < 1.01 * (Y - clean).norm())
    }

    /// Holes are no neighbours and are left as they are; the operator without a closed form does as well.
    @Test(arguments: [false, true]) func holesStay(ofEachFrame: Bool) throws {
        let truth = try Self.sky(frames: 2)
        let mask = try ofEachFrame ? Registered.maskOfEachFrame(truth.shape) : Registered.mask(truth.shape)
        let problem = try GaussianBlur(size: 13, sigma: 2).then(mask)
        let clean = try problem.apply(truth)
        let Y = try clean.rounded(toBits: 8) * mask.mask
        #expect(try NoiseLevel.bits(of: Y, known: mask.mask) == 8)
        let start = try GaussianBlur(size: 13, sigma: 2).apply(Y * 2)
        let found = try Self.dequantize(problem, Y, start: start)
        #expect(try (found - found * mask.mask).norm() == 0)
        #expect(try (found - clean).norm() < 0.8 * (Y - clean).norm())
    }

    @Test func smallFramesAreNoTrouble() throws {
        let problem = try GaussianBlur(size: 61, sigma: 3)
        let Y = try problem.apply(random([1, 3, 5, 7], seed: 1) * 0.1).rounded(toBits: 8)
        let found = try Self.dequantize(problem, Y, start: Y)
        #expect(try found.isFinite().all() && (found - Y).absolute().maximum().item() <= 1 / 255 * 1.001)
        #expect(try (Self.dequantize(problem, Y, noise: 1, start: Y, iterations: 0) - Y).norm() == 0)
    }

    @Test(arguments: [8, 10, 12, 16]) func bitsAreSeen(bits: Int) throws {
        let values = try random([2, 3, 20, 30], seed: 1) * 0.4
        let rounded = try values.rounded(toBits: bits)
        #expect(try NoiseLevel.bits(of: rounded) == bits)
        // As a file has them that stores 16.
        #expect(try NoiseLevel.bits(of: rounded.rounded(toBits: 16)) == bits)
        #expect(try NoiseLevel.bits(of: values) == nil)
        let mask = try Mask.random(ratio: 0.5, seed: 1, height: 20, width: 30).mask
        let holed = try rounded * mask
        #expect(try NoiseLevel.bits(of: holed) == nil && NoiseLevel.bits(of: holed, known: mask) == bits)
        // One frame that was not rounded is enough.
        #expect(try NoiseLevel.bits(of: .concatenate([rounded, values], along: 0)) == nil)
        let masks = try Registered.maskOfEachFrame([2, 3, 20, 30]).mask
        #expect(
            try NoiseLevel.bits(of: rounded * masks) == nil
                && NoiseLevel.bits(of: rounded * masks, known: masks) == bits)
    }

    @Test func badArgumentsAreRefused() throws {
        let problem = try GaussianBlur(size: 5, sigma: 1)
        let Y = try random([1, 3, 8, 9], seed: 1)
        func refused(bits: Int = 8, noise: Double = 0.1, error: Double = 0.1, iterations: Int = 1) {
            #expect(throws: ProblemError.self) {
                try Self.dequantize(
                    problem, Y, bits: bits, noise: noise, start: Y, error: error, iterations: iterations)
            }
        }
        refused(bits: 0)
        refused(bits: 17)
        refused(noise: 0)
        refused(noise: .nan)
        refused(error: -1)
        refused(iterations: -1)
        #expect(throws: ProblemError.self) {
            try Self.dequantize(problem, Y, noise: 0.1, start: random([1, 3, 8, 8], seed: 1))
        }
    }
}
