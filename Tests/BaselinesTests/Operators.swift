import InverseProblems
import TensorKit
import Testing

@testable import Baselines

/// Operators that have a symmetrizer, and some that have none, each for videos of a shape.
struct Registered: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// How many channels it takes; nil for any number.
    let channels: Int?
    let make: @Sendable (_ shape: [Int]) throws -> any LinearOperator

    init(
        _ name: String, channels: Int? = nil, _ make: @escaping @Sendable (_ shape: [Int]) throws -> any LinearOperator
    ) {
        testDescription = name
        self.channels = channels
        self.make = make
    }

    /// Ordinary, odd, tiny and single frames, and more of them than the windows have.
    static let shapes = [
        [1, 1, 1, 1], [2, 3, 1, 5], [1, 3, 2, 3], [9, 2, 7, 5], [3, 1, 16, 24], [1, 3, 33, 47], [8, 3, 8, 12],
        [70, 1, 4, 4],
        [2, 1, 64, 65], [4, 3, 6, 9],
    ]

    static let all: [Registered] =
        [
            Registered("identity") { _ in Identity() },
            Registered("border weights") { _ in BorderWeights() },
            Registered("mask") { try Mask.random(ratio: 0.5, seed: 3, height: $0[2], width: $0[3]) },
            Registered("pooling") { _ in try AveragePooling(factor: 2) },
            Registered("grey", channels: 3) { _ in Greyscale(.bt709) },
            Registered("grey, then blur", channels: 3) { _ in
                try Greyscale(.bt709).then(GaussianBlur(size: 9, sigma: 1))
            },
            Registered("blur, then average") { _ in try GaussianBlur().then(TemporalAverage()) },
            Registered("valid average, then blur") { _ in
                try TemporalAverage(window: 2, boundary: .valid).then(GaussianBlur())
            },
            Registered("pooling, then blur") { _ in
                try AveragePooling(factor: 2).then(GaussianBlur(size: 5, sigma: 0.7))
            },
            Registered("blur twice") { _ in
                try GaussianBlur(size: 5, sigma: 1).then(GaussianBlur(size: 7, sigma: 2, boundary: .zero))
            },
            Registered("adjoint of blur") { _ in try GaussianBlur().transposed },
        ]
        + BlurBoundary.allCases.flatMap { boundary in
            [(61, 3.0), (21, 3), (5, 1), (3, 0.4), (15, 0), (1, 2), (151, 40)].map { size, sigma in
                Registered("blur \(size) \(sigma) \(boundary)") { _ in
                    try GaussianBlur(size: size, sigma: sigma, boundary: boundary)
                }
            }
        }
        + Problem.tasks.map { task in
            Registered("task \(task)") { try Problem(task: task).operator(height: $0[2], width: $0[3]) }
        }

    /// The operator with those of the shapes that it takes.
    func cases() throws -> [(operator: any LinearOperator, shape: [Int])] {
        try Self.shapes.compactMap { shape in
            guard channels == nil || shape[1] == channels else { return nil }
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
