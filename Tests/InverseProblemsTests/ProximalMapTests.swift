import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

/// What iterations call agrees with what is called once, but for components that a thousandth of is measured.
@Suite struct ProximalMapTests {
    static let shape = [9, 3, 36, 48]
    static let problems: [(String, any LinearOperator)] = {
        func made(_ name: String, _ make: () throws -> any LinearOperator) -> (String, any LinearOperator)? {
            (try? make()).map { (name, $0) }
        }
        return [
            made("blur") { try GaussianBlur(sigma: 2) },
            made("blur, then every second pixel") {
                try Composition(first: GaussianBlur(sigma: 2), second: AveragePooling(factor: 2))
            },
            made("average and blur") {
                try Composition(first: TemporalAverage(window: 3), second: GaussianBlur(sigma: 2))
            },
            made("grey blur") { try Composition(first: GaussianBlur(sigma: 2), second: Greyscale(.bt709)) },
            made("average") { try TemporalAverage(window: 3) },
            made("shrinking") { try AveragePooling(factor: 4) },
            made("holes") { try Mask.random(ratio: 0.5, seed: 3, height: 36, width: 48) },
            made("blur with holes") {
                try Composition(
                    first: GaussianBlur(sigma: 2), second: Mask.random(ratio: 0.5, seed: 3, height: 36, width: 48))
            },
        ].compactMap(\.self)
    }()

    @Test func allAreThere() { #expect(Self.problems.count == 8) }

    @Test(arguments: problems.indices, [1, 50, 4000.0])
    func agreesWithTheProximalPoint(index: Int, ratio: Double) throws {
        let (name, A) = Self.problems[index]
        let start = try random(Self.shape, seed: 1)
        let Y = try A.apply(movingTexture(9, 36, 48))
        let exact = try A.solveProximal(Y, around: start, ratio: ratio, iterations: 20).solution
        let measurement = try VideoMeasurement(Y, operator: A, noise: .sigma(0.01))
        let map = try ProximalMap(measurement, ratio: ratio)
        #expect(try relativeDistance(map(start), exact) < 1e-3, "\(name)")
        // A X needs no X.
        let fitted = try FittedMeasurement(measurement, around: start, ratio: ratio)
        #expect(try relativeDistance(fitted(Y), A.apply(exact)) < 1e-3, "\(name)")
    }

    /// The map of one start serves another.
    @Test func servesEveryStart() throws {
        let A = try GaussianBlur(sigma: 2)
        let Y = try A.apply(movingTexture(2, 36, 48))
        let map = try ProximalMap(VideoMeasurement(Y, operator: A, noise: .sigma(0.01)), ratio: 100)
        for seed in [UInt64(2), 3] {
            let start = try random([2, 3, 36, 48], seed: seed)
            #expect(try relativeDistance(map(start), A.proximal(Y, around: start, ratio: 100)) < 1e-3)
        }
    }
}
