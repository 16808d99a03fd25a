import Foundation
import TensorKit
import Testing

@testable import InverseProblems

@Suite struct SamplingFilterTests {
    /// By (|dy|, |dx|), 00 01 02 03 11 12 13 22 23 33, as Benchmarks/reference/sampling_filter.py prints them.
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let factor: Int
        let blur: Double?
        let taps: [Double]
    }

    static let rows = [
        Row(
            testDescription: "means by 2", factor: 2, blur: nil,
            taps: [0.8397, 0.0698, -0.0321, 0.0051, 0.0029, -0.0043, 0.0011, 0.0015, -0.0003, -0.0002]),
        Row(
            testDescription: "means by 3", factor: 3, blur: nil,
            taps: [0.8752, 0.0622, -0.0325, 0.0058, 0.0004, -0.0037, 0.0010, 0.0016, -0.0004, -0.0002]),
        Row(
            testDescription: "means by 4", factor: 4, blur: nil,
            taps: [0.8855, 0.0602, -0.0331, 0.0061, -0.0002, -0.0034, 0.0010, 0.0016, -0.0004, -0.0002]),
        Row(
            testDescription: "means by 8", factor: 8, blur: nil,
            taps: [0.9011, 0.0560, -0.0331, 0.0063, -0.0006, -0.0031, 0.0009, 0.0016, -0.0004, -0.0002]),
        Row(
            testDescription: "blur 1.5, means by 4", factor: 4, blur: 1.5,
            taps: [1.5437, -0.1565, 0.0068, -0.0009, 0.0158, -0.0007, 0.0002, 0, 0, 0]),
    ]

    @Test(arguments: rows) func agreesWithNumPy(row: Row) throws {
        let pooling = try AveragePooling(factor: row.factor)
        let A: any LinearOperator =
            try row.blur.map { try GaussianBlur(size: 31, sigma: $0).then(pooling) } ?? pooling
        let filter = try SamplingFilter(for: A, measurement: [5, 3, 40, 47])
        let taps: [Double] = try filter.taps.array()
        #expect(abs(taps.reduce(0, +) - 1) < 1e-12)
        var index = 0
        for a in 0...3 {
            for b in a...3 {
                for (dy, dx) in [(a, b), (b, a), (-a, b), (a, -b), (-b, a), (-b, -a)] {
                    #expect(abs(taps[(3 + dy) * 7 + 3 + dx] - row.taps[index]) < 6e-5, "\(dy) \(dx)")
                }
                index += 1
            }
        }
    }

    /// Frames smaller than what a pixel's weights are looked for in, and levels that stay.
    @Test func smallFramesAndFlatOnes() throws {
        let pooling = try AveragePooling(factor: 4)
        let filter = try SamplingFilter(for: pooling, measurement: [1, 3, 2, 3])
        let large = try SamplingFilter(for: pooling, measurement: [1, 3, 90, 80])
        #expect(try relativeDistance(filter.taps, large.taps) < 1e-12)
        let flat = try Tensor.full([2, 3, 2, 3], 0.3)
        #expect(try relativeDistance(filter.apply(flat), flat) < 1e-6)
    }

    /// What it is for: of a random video of which amplitudes fall as 1/f, means of blocks come nearer to what the bicubic filter leaves.
    @Test func bringsTheSamplingsTogether() throws {
        let size = 128
        var generator = RandomGenerator(seed: 5)
        let angles: [Double] = try generator.normal([size, 2], dtype: .float64).array()
        // Waves of all directions, as many for each octave: about 1/f.
        var values = [Double](repeating: 0, count: size * size)
        for wave in 0..<size {
            let (angle, phase) = (3 * angles[2 * wave], 3 * angles[2 * wave + 1])
            let frequency = 0.5 * exp2(-5 * Double(wave) / Double(size))
            let (u, v) = (2 * Double.pi * frequency * cos(angle), 2 * Double.pi * frequency * sin(angle))
            for y in 0..<size {
                for x in 0..<size { values[y * size + x] += cos(u * Double(y) + v * Double(x) + phase) }
            }
        }
        let X = try Tensor(values, shape: [1, 1, size, size]).expanded([1, 3, -1, -1]).contiguous()
        let A = try AveragePooling(factor: 4)
        let means = try A.apply(X)
        let bicubic = try X.resizedBicubic(height: 32, width: 32, antialiased: true)
        func middle(_ x: Tensor) throws -> Tensor { try x.narrow(2, from: 4, count: 24).narrow(3, from: 4, count: 24) }
        let filtered = try SamplingFilter(for: A, measurement: means.shape).apply(means)
        let (before, after) = (try middle(means - bicubic).norm(), try middle(filtered - bicubic).norm())
        #expect(after < 0.8 * before, "\(before) \(after)")
    }

    @Test func whatItIsNotFor() throws {
        let pooling = try AveragePooling(factor: 4)
        for A in [Identity(), try GaussianBlur(size: 5, sigma: 1)] as [any LinearOperator] {
            #expect(throws: ProblemError.self) { try SamplingFilter(for: A, measurement: [1, 3, 8, 8]) }
        }
        let hole = try pooling.then(Mask(.zeros([8, 8])))
        #expect(throws: ProblemError.self) { try SamplingFilter(for: hole, measurement: [1, 3, 8, 8]) }
    }
}
