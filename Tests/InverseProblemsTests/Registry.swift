import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

/// One operator of the registry. The laws below hold for all of them; a new operator is added here and nowhere else.
struct Registered: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// How many channels it takes; nil for any number.
    let channels: Int?
    /// What conjugate gradients need at most to a proximal point without a closed form, at a ratio of 1e4 and to 1e-12.
    let steps: Int
    /// The operator for videos of a shape (a mask has its frames' size).
    let make: @Sendable (_ shape: [Int]) throws -> any LinearOperator

    init(
        _ name: String, channels: Int? = nil, steps: Int = 500,
        _ make: @escaping @Sendable (_ shape: [Int]) throws -> any LinearOperator
    ) {
        testDescription = name
        self.channels = channels
        self.steps = steps
        self.make = make
    }

    /// Ordinary, odd, tiny and single frames; fewer and more frames than the windows, more rows and frames than a block of the
    /// matrices has.
    static let shapes = [
        [1, 1, 1, 1], [2, 3, 1, 5], [1, 3, 2, 3], [9, 2, 7, 5], [3, 1, 16, 24], [1, 3, 33, 47], [8, 3, 8, 12],
        [70, 1, 4, 4],
        [1, 1, 140, 72], [2, 1, 64, 65], [4, 3, 6, 9], [7, 1, 3, 3], [3, 3, 4, 6],
    ]

    static let all: [Registered] = plain + grey + masksOfEachFrame

    /// What leaves channels alone, and is the same for all frames.
    static let plain: [Registered] =
        [
            Registered("identity") { _ in Identity() },
            Registered("mask") { try mask($0) },
            Registered("full mask") { try Mask.random(ratio: 0, seed: 3, height: $0[2], width: $0[3]) },
            Registered("empty mask") { try Mask.random(ratio: 1, seed: 3, height: $0[2], width: $0[3]) },
        ]
        + BlurBoundary.allCases.flatMap { boundary in
            [(61, 3.0), (21, 3), (5, 1), (3, 0.4), (15, 0), (1, 2), (151, 40)].map { size, sigma in
                Registered("blur \(size) \(sigma) \(boundary)") { _ in
                    try GaussianBlur(size: size, sigma: sigma, boundary: boundary)
                }
            }
        }
        + [1, 2, 3, 4].map { factor in Registered("pooling \(factor)") { _ in try AveragePooling(factor: factor) } }
        + TemporalBoundary.allCases.flatMap { boundary in
            [1, 2, 3, 7].map { window in
                Registered("average \(window) \(boundary)") { _ in
                    try TemporalAverage(window: window, boundary: boundary)
                }
            }
        }
        + [(2, OpenEnds.before), (3, .after), (7, .before), (7, .after), (7, .both), (4, .both)].map { window, ends in
            Registered("average \(window) replicate, open \(ends.rawValue)") { _ in
                try TemporalAverage(window: window, boundary: .replicate, openEnds: ends)
            }
        }
        + Problem.tasks.map { task in
            Registered("task \(task)") { try Problem(task: task).operator(height: $0[2], width: $0[3]) }
        }
        + [
            Registered("valid average, blur, pooling, mask") {
                let problem = Problem(
                    Average(frames: 3, boundary: .valid), Blur(sigma: 1, size: 9), Shrink(factor: 2), Holes(ratio: 0.3))
                return try problem.operator(height: $0[2], width: $0[3])
            },
            Registered("open average, blur, mask") {
                let problem = Problem(Average(frames: 5, boundary: .open), Blur(sigma: 1, size: 9), Holes(ratio: 0.3))
                return try problem.operator(height: $0[2], width: $0[3])
            },
            Registered("average with an open end, pooling") {
                let problem = Problem(Average(frames: 3, boundary: .replicate), Shrink(factor: 2))
                return try problem.operator(height: $0[2], width: $0[3], openEnds: .after)
            },
            Registered("blur, then average") { _ in try GaussianBlur().then(TemporalAverage()) },
            Registered("blur twice") { _ in
                try GaussianBlur(size: 5, sigma: 1).then(GaussianBlur(size: 7, sigma: 2, boundary: .zero))
            },
            Registered("adjoint of blur") { _ in try GaussianBlur().transposed },
            Registered("adjoint of pooling") { _ in try AveragePooling(factor: 2).transposed },
            Registered("adjoint of average, then blur") { _ in
                try TemporalAverage(boundary: .replicate).then(GaussianBlur()).transposed
            },
        ]

    /// What mixes channels.
    static let grey: [Registered] =
        Grey.Matrix.allCases.map { matrix in Registered("grey \(matrix)", channels: 3) { _ in Greyscale(matrix) } }
        + [
            Registered("grey, then blur", channels: 3) { _ in
                try Greyscale(.bt709).then(GaussianBlur(size: 5, sigma: 1))
            },
            Registered("blur, then grey", channels: 3) { _ in
                try GaussianBlur(size: 5, sigma: 1).then(Greyscale(.bt601))
            },
            Registered("grey, then pooling", channels: 3) { _ in try Greyscale(.bt601).then(AveragePooling(factor: 2))
            },
            Registered("pooling, then grey", channels: 3) { _ in try AveragePooling(factor: 2).then(Greyscale(.bt709))
            },
            Registered("grey, then average", channels: 3) { _ in
                try Greyscale(.bt709).then(TemporalAverage(window: 3, boundary: .replicate))
            },
            Registered("valid average, then grey", channels: 3) { _ in
                try TemporalAverage(window: 2, boundary: .valid).then(Greyscale(.bt601))
            },
            Registered("grey, then mask", channels: 3) { try Greyscale(.bt601).then(mask($0)) },
            Registered("mask, then grey", channels: 3) { try mask($0).then(Greyscale(.bt709)) },
            Registered("average, grey, then mask", channels: 3) {
                try TemporalAverage(window: 3).then(Greyscale(.bt709)).then(mask($0))
            },
            Registered("blur, grey, then mask", channels: 3) {
                try GaussianBlur(size: 3, sigma: 0.4).then(Greyscale(.bt709)).then(mask($0))
            },
            Registered("every stage", channels: 3) {
                let problem = Problem(
                    Average(frames: 2), Blur(sigma: 0.5, size: 5), Shrink(factor: 2), Grey(.bt601), Holes(ratio: 0.3))
                return try problem.operator(height: $0[2], width: $0[3])
            },
            Registered("adjoint of grey", channels: 1) { _ in Greyscale(.bt709).transposed },
            Registered("adjoint of grey, then blur", channels: 1) { _ in
                try Greyscale(.bt601).then(GaussianBlur(size: 5, sigma: 1)).transposed
            },
        ]

    /// What is another operator for every frame. The blurs are mild: with half of the pixels missing others take too many
    /// steps.
    static let masksOfEachFrame: [Registered] = [
        Registered("mask of each frame") { try maskOfEachFrame($0) },
        Registered("mask, then mask of each frame") { try mask($0).then(maskOfEachFrame($0)) },
        Registered("grey, then mask of each frame", channels: 3) { try Greyscale(.bt601).then(maskOfEachFrame($0)) },
        Registered("mask of each frame, then grey", channels: 3) { try maskOfEachFrame($0).then(Greyscale(.bt709)) },
        Registered("blur, then mask of each frame") { try GaussianBlur(size: 3, sigma: 0.4).then(maskOfEachFrame($0)) },
        Registered("mask of each frame, then blur") { try maskOfEachFrame($0).then(GaussianBlur(size: 3, sigma: 0.4)) },
        Registered("pooling, then mask of each frame") {
            try AveragePooling(factor: 2).then(maskOfEachFrame([$0[0], $0[1], max($0[2] / 2, 1), max($0[3] / 2, 1)]))
        },
        Registered("average, then mask of each frame", steps: 1400) {
            try TemporalAverage(window: 3).then(maskOfEachFrame($0))
        },
        Registered("mask of each frame, then average", steps: 1400) {
            try maskOfEachFrame($0).then(TemporalAverage(window: 3))
        },
        Registered("blur, grey, then mask of each frame", channels: 3) {
            try GaussianBlur(size: 3, sigma: 0.4).then(Greyscale(.bt709)).then(maskOfEachFrame($0))
        },
        Registered("adjoint of mask of each frame") { try maskOfEachFrame($0).transposed },
    ]

    /// Half of the pixels of all frames.
    static func mask(_ shape: [Int]) throws -> Mask {
        try Mask.random(ratio: 0.5, seed: 3, height: shape[2], width: shape[3])
    }

    /// Half of the pixels of each frame, other ones in every frame.
    static func maskOfEachFrame(_ shape: [Int]) throws -> Mask {
        let masks = try (0..<shape[0]).map { frame in
            try Mask.random(ratio: 0.5, seed: UInt64(frame) + 3, height: shape[2], width: shape[3]).mask
        }
        return try Mask(Tensor.stack(masks).unsqueezed(1))
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

extension Array where Element == Registered {
    /// Those of some names.
    func named(_ names: String...) -> [Registered] { filter { names.contains($0.testDescription) } }
}

/// |a - b| / |b|, or |a - b| where b is zero.
func relativeDistance(_ a: Tensor, _ b: Tensor) throws -> Double {
    let scale = try b.norm()
    return try (a - b).norm() / (scale > 0 ? scale : 1)
}
