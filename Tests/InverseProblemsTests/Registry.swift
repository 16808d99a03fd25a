import TensorKit
import Testing

@testable import InverseProblems

/// One operator of the registry. The laws below hold for all of them; a new operator is added here and nowhere else.
struct Registered: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// The operator for videos of a shape (a mask has its frames' size).
    let make: @Sendable (_ shape: [Int]) throws -> any LinearOperator

    init(_ name: String, _ make: @escaping @Sendable (_ shape: [Int]) throws -> any LinearOperator) {
        testDescription = name
        self.make = make
    }

    /// Ordinary, odd, tiny and single frames; fewer and more frames than the windows, more rows and frames than a block of the
    /// matrices has.
    static let shapes = [
        [1, 1, 1, 1], [2, 3, 1, 5], [1, 3, 2, 3], [9, 2, 7, 5], [3, 1, 16, 24], [1, 3, 33, 47], [8, 3, 8, 12], [70, 1, 4, 4],
        [1, 1, 140, 72], [2, 1, 64, 65], [4, 3, 6, 9], [7, 1, 3, 3],
    ]

    static let all: [Registered] =
        [
            Registered("identity") { _ in Identity() },
            Registered("mask") { try Mask.random(ratio: 0.5, seed: 3, height: $0[2], width: $0[3]) },
            Registered("full mask") { try Mask.random(ratio: 0, seed: 3, height: $0[2], width: $0[3]) },
            Registered("empty mask") { try Mask.random(ratio: 1, seed: 3, height: $0[2], width: $0[3]) },
            Registered("border weights") { _ in BorderWeights() },
        ]
        + BlurBoundary.allCases.flatMap { boundary in
            [(61, 3.0), (21, 3), (5, 1), (3, 0.4), (15, 0), (1, 2), (151, 40)].map { size, sigma in
                Registered("blur \(size) \(sigma) \(boundary)") { _ in try GaussianBlur(size: size, sigma: sigma, boundary: boundary) }
            }
        }
        + [1, 2, 3, 4].map { factor in Registered("pooling \(factor)") { _ in try AveragePooling(factor: factor) } }
        + TemporalBoundary.allCases.flatMap { boundary in
            [1, 2, 3, 7].map { window in
                Registered("average \(window) \(boundary)") { _ in try TemporalAverage(window: window, boundary: boundary) }
            }
        }
        + Problem.tasks.map { task in
            Registered("task \(task)") { try Problem(task: task).operator(height: $0[2], width: $0[3]) }
        }
        + [
            Registered("valid average, blur, pooling, mask") {
                var degradation = Problem()
                (degradation.averageWindow, degradation.averageBoundary) = (3, .valid)
                (degradation.blurSigma, degradation.blurSize, degradation.scale, degradation.maskRatio) = (1, 9, 2, 0.3)
                return try degradation.operator(height: $0[2], width: $0[3])
            },
            Registered("blur, then average") { _ in try GaussianBlur().then(TemporalAverage()) },
            Registered("blur twice") { _ in try GaussianBlur(size: 5, sigma: 1).then(GaussianBlur(size: 7, sigma: 2, boundary: .zero)) },
            Registered("adjoint of blur") { _ in try GaussianBlur().transposed },
            Registered("adjoint of pooling") { _ in try AveragePooling(factor: 2).transposed },
            Registered("adjoint of average, then blur") { _ in try TemporalAverage(boundary: .replicate).then(GaussianBlur()).transposed },
        ]

    /// The operator with those of the shapes that it takes.
    func cases() throws -> [(operator: any LinearOperator, shape: [Int])] {
        try Self.shapes.compactMap { shape in
            do {
                let problem = try make(shape)
                _ = try problem.outputShape(for: shape)
                return (problem, shape)
            } catch let error as ProblemError {
                switch error {
                case .indivisible, .tooFewFrames: return nil
                default: throw error
                }
            }
        }
    }
}

/// Normal numbers that depend on the seed and the shape alone.
func random(_ shape: [Int], seed: UInt64, dtype: DType = .float32) throws -> Tensor {
    var generator = RandomGenerator(seed: seed)
    return try generator.normal(shape, dtype: dtype)
}

/// |a - b| / |b|, or |a - b| where b is zero.
func relativeDistance(_ a: Tensor, _ b: Tensor) throws -> Double {
    let scale = try b.norm()
    return try (a - b).norm() / (scale > 0 ? scale : 1)
}
