import Metrics
import TensorKit
import Testing

@Suite struct RefusalTests {
    typealias Metric = @Sendable (Tensor, Tensor) throws -> VideoScore
    static let comparisons: [Metric] = [
        { try psnr($0, $1) }, { try ssim($0, $1) }, { try temporalError($0, $1) },
        { VideoScore(perFrame: [try stillFlicker($0, $1).video]) },
    ]

    @Test(arguments: comparisons.indices) func videosOfDifferentShapes(index: Int) throws {
        let metric = Self.comparisons[index]
        let a = try Tensor.zeros([2, 3, 16, 16])
        let b = try Tensor.zeros([2, 3, 16, 20])
        #expect(throws: MetricError.shapesDiffer([2, 3, 16, 16], [2, 3, 16, 20])) { try metric(a, b) }
        #expect(throws: MetricError.notAVideo(shape: [3, 16, 16])) { try metric(a.select(0, 0), a.select(0, 0)) }
        #expect(throws: MetricError.notAVideo(shape: [0, 3, 16, 16])) { try metric(a.rows(0..<0), a.rows(0..<0)) }
    }

    @Test(arguments: comparisons.indices, [Double.nan, .infinity, -.infinity])
    func valuesThatAreNotFinite(index: Int, value: Double) throws {
        let metric = Self.comparisons[index]
        let a = try Tensor.zeros([3, 3, 16, 16])
        for frame in 0..<3 {
            var values = [Float](repeating: 0, count: a.count)
            values[frame * 3 * 16 * 16 + 300] = Float(value)
            let b = try Tensor(values, shape: a.shape)
            #expect(throws: MetricError.notFinite(frame: frame)) { try metric(a, b) }
            #expect(throws: MetricError.notFinite(frame: frame)) { try metric(b, a) }
            // NaN is not perfect, though it is the same in both.
            #expect(throws: MetricError.notFinite(frame: frame)) { try metric(b, b) }
            #expect(throws: MetricError.notFinite(frame: frame)) { try flicker(b) }
        }
    }

    @Test func framesThatAreTooSmallForTheWindow() throws {
        let a = try Tensor.zeros([1, 3, 16, 10])
        #expect(throws: MetricError.framesTooSmall(height: 16, width: 10, least: 11)) { try ssim(a, a) }
        #expect(throws: Never.self) { try psnr(a, a) }
    }

    @Test func oneFrameHasNoChange() throws {
        let a = try Tensor.zeros([1, 3, 16, 16])
        #expect(throws: MetricError.tooFewFrames(1, least: 2)) { try flicker(a) }
        #expect(throws: MetricError.tooFewFrames(1, least: 2)) { try temporalError(a, a) }
    }

    @Test(arguments: [0, -1, Double.infinity]) func rangesThatAreNone(range: Double) throws {
        let a = try Tensor.zeros([1, 3, 16, 16])
        #expect(throws: MetricError.invalidRange(range)) { try psnr(a, a, range: range) }
        #expect(throws: MetricError.invalidRange(range)) { try ssim(a, a, range: range) }
    }

    @Test func errorsAreSentences() {
        let errors: [MetricError] = [
            .notAVideo(shape: []), .shapesDiffer([1, 3, 4, 5], [1, 3, 4, 6]),
            .framesTooSmall(height: 4, width: 5, least: 11),
            .tooFewFrames(1, least: 2), .notFinite(frame: 7), .invalidRange(0), .notColour(channels: 1),
            .clipTooShort(8, least: 9),
            .lengthsDiffer(9, 10), .tooFewClips(1, least: 2), .notFeatures([1], [2]), .featuresNotFinite,
            .nothingStatic(threshold: 0.1),
            .comparesSets,
        ]
        for error in errors { #expect("\(error)".hasSuffix(".") && "\(error)".first?.isUppercase == true) }
        #expect("\(errors[1])".contains("1x3x4x5 and 1x3x4x6"))
        #expect("\(errors[3])".contains("1 frame has"))
    }
}
