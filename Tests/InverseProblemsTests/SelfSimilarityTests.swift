import Foundation
import TensorKit
import Testing

@testable import InverseProblems

@Suite struct SelfSimilarityTests {
    /// Lines, two pixels wide, at distances that are no multiple of 4, (N, 3, H, W) in [-1, 1].
    static func grid(_ frames: Int, _ height: Int, _ width: Int) throws -> Tensor {
        func line(_ x: Double, period: Double) -> Double {
            let distance = abs(x - (x / period).rounded() * period)
            return exp(-distance * distance)
        }
        var values: [Double] = []
        for t in 0..<frames {
            for c in 0..<3 {
                for i in 0..<height {
                    for j in 0..<width {
                        let (y, x) = (Double(i + 3 * t), Double(j))
                        values.append(max(line(y + 0.05 * x, period: 15.3), line(x - 0.05 * y, period: 15.3)) * (1.2 + 0.2 * Double(c)) - 0.8)
                    }
                }
            }
        }
        return try Tensor(values, shape: [frames, 3, height, width]).to(.float32)
    }

    /// The same by its definition, pixel by pixel in float64.
    static func plainly(_ image: [[Double]], _ filter: SelfSimilarityFilter) -> [[Double]] {
        let (p, K) = (filter.patch, filter.group)
        func grown(_ side: Int) -> Int { max((side + filter.stride - 1) / filter.stride * filter.stride, p) }
        let (height, width) = (grown(image.count), grown(image[0].count))
        let pixels = (0..<height).map { i in (0..<width).map { j in image[min(i, image.count - 1)][min(j, image[0].count - 1)] } }
        func cosine(_ k: Int, _ i: Int, _ n: Int) -> Double {
            ((k == 0 ? 1.0 : 2.0) / Double(n)).squareRoot() * cos(.pi * (Double(i) + 0.5) * Double(k) / Double(n))
        }
        // (group, row, column), one axis after the other.
        func transformed(_ x: [[[Double]]], backwards: Bool) -> [[[Double]]] {
            func entry(_ k: Int, _ i: Int, _ n: Int) -> Double { backwards ? cosine(i, k, n) : cosine(k, i, n) }
            func sum(_ n: Int, _ term: (Int) -> Double) -> Double { (0..<n).map(term).reduce(0, +) }
            let n = x.count
            let a = (0..<n).map { k in (0..<p).map { i in (0..<p).map { j in sum(n) { entry(k, $0, n) * x[$0][i][j] } } } }
            let b = (0..<n).map { k in (0..<p).map { i in (0..<p).map { j in sum(p) { entry(i, $0, p) * a[k][$0][j] } } } }
            return (0..<n).map { k in (0..<p).map { i in (0..<p).map { j in sum(p) { entry(j, $0, p) * b[k][i][$0] } } } }
        }
        func bessel(_ x: Double) -> Double {
            var (sum, term) = (1.0, 1.0)
            for k in 1...20 {
                term *= x * x / 4 / Double(k * k)
                sum += term
            }
            return sum
        }
        let kaiser = (0..<p).map { i in
            let r = 2 * Double(i) / Double(p - 1) - 1
            return bessel(2 * (1 - r * r).squareRoot()) / bessel(2)
        }
        var sums = pixels.map { $0.map { _ in 0.0 } }
        var weights = sums
        let limit = min(K, min(filter.reach + 1, height - p + 1) * min(filter.reach + 1, width - p + 1))
        for top in Swift.stride(from: 0, through: height - p, by: filter.stride) {
            for left in Swift.stride(from: 0, through: width - p, by: filter.stride) {
                var found: [(distance: Double, i: Int, j: Int)] = []
                for i in max(0, top - filter.reach)...min(height - p, top + filter.reach) {
                    for j in max(0, left - filter.reach)...min(width - p, left + filter.reach) {
                        var distance = (i, j) == (top, left) ? -1.0 : 0
                        for a in 0..<p { for b in 0..<p { distance += pow(pixels[i + a][j + b] - pixels[top + a][left + b], 2) } }
                        found.append((distance, i, j))
                    }
                }
                let group = found.sorted { $0.distance < $1.distance }.prefix(limit)
                var g = transformed(
                    group.map { m in (0..<p).map { a in (0..<p).map { b in pixels[m.i + a][m.j + b] } } }, backwards: false)
                var kept = 0.0
                for k in g.indices {
                    for a in 0..<p {
                        for b in 0..<p {
                            if abs(g[k][a][b]) > filter.threshold || (k, a, b) == (0, 0, 0) { kept += 1 } else { g[k][a][b] = 0 }
                        }
                    }
                }
                g = transformed(g, backwards: true)
                for (k, m) in group.enumerated() {
                    for a in 0..<p {
                        for b in 0..<p {
                            sums[m.i + a][m.j + b] += g[k][a][b] * kaiser[a] * kaiser[b] / kept
                            weights[m.i + a][m.j + b] += kaiser[a] * kaiser[b] / kept
                        }
                    }
                }
            }
        }
        return (0..<image.count).map { i in (0..<image[0].count).map { j in sums[i][j] / weights[i][j] } }
    }

    @Test(arguments: [(12, 14, 0.5), (13, 11, 0.2), (4, 5, 0.3), (16, 16, 3)])
    func isWhatItsDefinitionSays(height: Int, width: Int, threshold: Double) throws {
        var filter = SelfSimilarityFilter(threshold: threshold)
        (filter.patch, filter.stride, filter.reach, filter.group) = (4, 2, 3, 5)
        let X = try random([1, 1, height, width], seed: 3, dtype: .float64)
        let values: [Double] = try X.array()
        let expected = Self.plainly((0..<height).map { Array(values[$0 * width..<($0 + 1) * width]) }, filter).flatMap { $0 }
        #expect(try relativeDistance(filter.apply(X), Tensor(expected, shape: X.shape)) < 1e-10)
    }

    /// Where nothing is cut off, nothing changes: the transforms are orthonormal.
    @Test(arguments: [[1, 3, 33, 47], [1, 1, 1, 1], [1, 2, 8, 40], [1, 3, 9, 9], [1, 3, 1, 5]]) func keepsAllWithoutAThreshold(shape: [Int]) throws {
        let X = try random(shape, seed: 1)
        #expect(try relativeDistance(SelfSimilarityFilter(threshold: 0).apply(X), X) < 1e-5)
    }

    /// f(X + c) = f(X) + c, and what differs between channels stays.
    @Test func theMeanAndTheColoursAreKept() throws {
        // No two patches are as similar as two others, so that rounding does not choose.
        let X = try random([1, 3, 24, 40], seed: 6, dtype: .float64)
        let filter = SelfSimilarityFilter(threshold: 0.7)
        let filtered = try filter.apply(X)
        #expect(try relativeDistance(filter.apply(X + 0.25), filtered + 0.25) < 1e-10)
        let (before, after) = try (X - X.mean(along: [1], keepingDimensions: true), filtered - filtered.mean(along: [1], keepingDimensions: true))
        #expect(try relativeDistance(after, before) < 1e-10)
    }

    @Test func theSizeOfPartsDoesNotMatter() throws {
        let X = try Self.grid(1, 40, 52).to(.float64)
        var filter = SelfSimilarityFilter(threshold: 0.2)
        let whole = try filter.apply(X)
        (filter.room, filter.tile) = (1, 3)
        #expect(try relativeDistance(filter.apply(X), whole) < 1e-5)
    }

    @Test func takesNoiseFromWhatRepeats() throws {
        let X = try Self.grid(1, 48, 64)
        let noise = try random([1, 1, 48, 64], seed: 2) * 0.2
        let filtered = try SelfSimilarityFilter(threshold: 0.2 * 2.7).apply(X + noise)
        #expect(try (filtered - X).mean(along: [1], keepingDimensions: true).norm() < 0.45 * noise.norm())
    }

    /// A mean over 4x4 pixels hides where in them a line is; the other lines tell.
    @Test func findsLinesThatPoolingHides() throws {
        let truth = try Self.grid(1, 64, 96)
        let A = try AveragePooling(factor: 4)
        let Y = try A.apply(truth)
        let start = try A.proximal(Y, around: Y.resizedBicubic(height: 64, width: 96), ratio: 1e6)
        let X = try enforceSelfSimilarity(A, measurement: Y, start: start, noise: 1e-3)
        #expect(try (A.apply(X) - Y).norm() < 1e-3 * Y.norm())
        let (before, after) = try ((start - truth).norm(), (X - truth).norm())
        #expect(after < 0.85 * before, "\(before), \(after)")
    }

    /// Frames are coupled by the operator alone, and every one is told of.
    @Test func framesStandAlone() throws {
        let A = try AveragePooling(factor: 4)
        let Y = try A.apply(Self.grid(2, 32, 40))
        let start = try Y.resizedBicubic(height: 32, width: 40)
        var told: [[Int]] = []
        let all = try enforceSelfSimilarity(A, measurement: Y, start: start, noise: 0.01, iterations: 2, framesAtOnce: 1) {
            told.append([$0, $1.lowerBound, $1.upperBound])
        }
        #expect(told == [[0, 0, 1], [0, 1, 2], [1, 0, 1], [1, 1, 2]])
        let one = try enforceSelfSimilarity(A, measurement: Y.rows(1..<2), start: start.rows(1..<2), noise: 0.01, iterations: 2)
        #expect(try relativeDistance(all.rows(1..<2), one) < 1e-5)
        #expect(throws: CancellationError.self) {
            try enforceSelfSimilarity(A, measurement: Y, start: start, noise: 0.01) { _, _ in throw CancellationError() }
        }
    }

    /// Frames at once share the groups of the middle one: those that are the same come out the same.
    @Test func framesAtOnceShareTheirGroups() throws {
        let frames = try Self.grid(3, 32, 48)
        let filter = SelfSimilarityFilter(threshold: 0.3)
        let together = try filter.apply(frames)
        #expect(together.shape == frames.shape)
        #expect(try (together.rows(1..<2) - filter.apply(frames.rows(1..<2))).norm() == 0)
        let still = try filter.apply(frames.rows(0..<1).expanded([4, -1, -1, -1]))
        for n in 0..<4 { #expect(try (still.rows(n..<n + 1) - filter.apply(frames.rows(0..<1))).norm() == 0) }
    }

    @Test func keepsWhatNeedsNoChange() throws {
        let Y = try Tensor.full([2, 3, 4, 5], 0.25)
        #expect(try relativeDistance(enforceSelfSimilarity(Identity(), measurement: Y, start: Y, noise: 0.1), Y) < 1e-5)
        #expect(try (enforceSelfSimilarity(Identity(), measurement: Y, start: Y * 2, noise: 0.1, iterations: 0) - Y * 2).norm() == 0)
    }

    @Test func whatDoesNotFitIsRefused() throws {
        let Y = try Tensor.zeros([2, 3, 4, 4])
        func enforce(
            _ Y: Tensor, start: Tensor, noise: Double = 0.1, iterations: Int = 1, thresholds: ClosedRange<Double> = 0.1...1, momentum: Double = 0
        ) throws {
            _ = try enforceSelfSimilarity(
                Identity(), measurement: Y, start: start, noise: noise, iterations: iterations, thresholds: thresholds, momentum: momentum)
        }
        for bad in [0, -1, .nan, .infinity] { #expect(throws: ProblemError.self) { try enforce(Y, start: Y, noise: bad) } }
        for bad in [0...1, -1...1, 1...Double.infinity] { #expect(throws: ProblemError.self) { try enforce(Y, start: Y, thresholds: bad) } }
        for bad in [-0.1, 1, .nan] { #expect(throws: ProblemError.self) { try enforce(Y, start: Y, momentum: bad) } }
        #expect(throws: ProblemError.self) { try enforce(Y, start: Y, iterations: -1) }
        #expect(throws: ProblemError.self) {
            try enforceSelfSimilarity(Identity(), measurement: Y, start: Y, noise: 0.1, framesAtOnce: 0)
        }
        #expect(throws: ProblemError.self) { try enforce(Y, start: .zeros([2, 3, 4, 5])) }
        #expect(throws: ProblemError.self) { try enforce(.zeros([2, 4]), start: Y) }
        #expect(throws: ProblemError.self) { try enforce(.full([2, 3, 4, 4], .nan), start: Y) }
    }
}
