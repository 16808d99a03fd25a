import Metrics
import TensorKit
import Testing
import Weights

@Suite struct VideoComparisonTests {
    private static let plain: [Metric] = [.psnr, .ssim, .flicker, .temporalError]

    /// A truth whose left half stands still up to noise, and a video that is wrong and restless.
    private func clip(_ count: Int, _ height: Int = 24, _ width: Int = 32) throws -> (truth: Tensor, video: Tensor) {
        let (a, b) = try pictures(count, height, width, type: .float32)
        let still = try a.rows(0..<1).narrow(3, from: 0, count: width / 2).expanded([count, -1, -1, -1])
        let noise = try a.narrow(3, from: 0, count: width / 2) * 0.005
        let moving = try a.narrow(3, from: width / 2, count: width - width / 2)
        return (try Tensor.concatenate([still + noise, moving], along: 3), b)
    }

    /// The same numbers as the functions of whole videos, bit for bit, in whatever portions the frames come.
    @Test(arguments: [[1, 1, 1, 1, 1], [5], [2, 3], [4, 1]]) func agreesWithTheWholeVideos(portions: [Int]) throws {
        let (truth, video) = try clip(5)
        var comparison = try VideoComparison(Self.plain)
        var found: [[Metric: Double]] = []
        for count in portions {
            let range = comparison.frameCount..<comparison.frameCount + count
            found += try comparison.add(reference: truth.rows(range), other: video.rows(range))
        }
        #expect(comparison.frameCount == 5 && comparison.gaps.isEmpty)
        let expected = [
            Metric.psnr: try psnr(video, truth), .ssim: try ssim(video, truth),
            .temporalError: try temporalError(video, truth),
        ]
        #expect(comparison.scores == expected)
        let flicker = try stillFlicker(video, truth)
        #expect(comparison.stillFlicker == flicker && flicker.fraction > 0.2 && flicker.excess > 0)
        // What was said of each frame as it came.
        for metric in [Metric.psnr, .ssim, .temporalError] {
            #expect(found.compactMap { $0[metric] } == expected[metric]?.perFrame)
        }
        #expect(Set(found[0].keys) == [.psnr, .ssim])
        #expect(found[3][.flicker] == (try stillFlicker(video.rows(2..<4), truth.rows(2..<4)).video))
    }

    @Test func onlyWhatIsAskedForInOneOrder() throws {
        let (truth, video) = try clip(2)
        var comparison = try VideoComparison([.temporalError, .psnr, .temporalError])
        try comparison.add(reference: truth, other: video)
        #expect(comparison.metrics == [.psnr, .temporalError])
        #expect(Set(comparison.scores.keys) == [.psnr, .temporalError])
        #expect(comparison.stillFlicker == nil && comparison.gaps.isEmpty)
    }

    /// The flicker of a video rests on its pixels, not on its pairs: one pair in which all moves adds none.
    @Test func aCutAddsNothingStill() throws {
        let (truth, video) = try clip(3)
        let withCut = (
            truth: try Tensor.concatenate([truth, truth * -0.5], along: 0),
            video: try Tensor.concatenate([video, video], along: 0)
        )
        var comparison = try VideoComparison([.flicker])
        let found = try comparison.add(reference: withCut.truth, other: withCut.video)
        #expect(found.map { $0[.flicker] != nil } == [false, true, true, false, true, true])
        #expect(comparison.stillFlicker == (try stillFlicker(withCut.video, withCut.truth)))
    }

    @Test func whatCannotBeHadIsSaidAndLeavesTheRest() throws {
        let (truth, video) = try clip(4)
        var comparison = try VideoComparison(Self.plain)
        #expect(comparison.scores.isEmpty)
        try comparison.add(reference: truth.rows(0..<1), other: video.rows(0..<1))
        #expect(comparison.gaps == [.flicker: .tooFewFrames(1, least: 2), .temporalError: .tooFewFrames(1, least: 2)])
        #expect(Set(comparison.scores.keys) == [.psnr, .ssim])
        // A truth that moves everywhere has no still place.
        var restless = try VideoComparison(Self.plain)
        let (_, moving) = try pictures(2, 24, 32)
        try restless.add(reference: moving, other: moving)
        #expect(restless.gaps == [.flicker: .nothingStatic(threshold: StillFlicker.threshold)])
        #expect(restless.stillFlicker == nil && restless.scores[.temporalError]?.mean == 0)
        // Frames that SSIM's window does not fit into.
        var small = try VideoComparison(Self.plain)
        let (tinyTruth, tinyVideo) = try clip(2, 10, 32)
        let found = try small.add(reference: tinyTruth, other: tinyVideo)
        #expect(small.gaps == [.ssim: .framesTooSmall(height: 10, width: 32, least: 11)])
        #expect(
            found.map { $0[.ssim] } == [nil, nil] && small.scores[.ssim] == nil
                && small.scores[.psnr]?.perFrame.count == 2)
    }

    /// The frame is named by its number in the video, and what was found before it is no score of the whole.
    @Test(arguments: [0, 1, 2]) func valuesThatAreNotFinite(frame: Int) throws {
        let (truth, video) = try clip(3)
        var broken = video
        try broken.replace(along: 0, from: frame, with: Tensor.full([1, 3, 24, 32], .nan))
        var comparison = try VideoComparison(Self.plain)
        for index in 0..<3 {
            try comparison.add(reference: truth.rows(index..<index + 1), other: broken.rows(index..<index + 1))
        }
        #expect(comparison.gaps == Dictionary(uniqueKeysWithValues: Self.plain.map { ($0, .notFinite(frame: frame)) }))
        #expect(comparison.scores.isEmpty && comparison.stillFlicker == nil && comparison.frameCount == 3)
    }

    @Test func whatItRefuses() throws {
        #expect(throws: MetricError.comparesSets) { try VideoComparison([.psnr, .fvd]) }
        let (truth, video) = try clip(2)
        var comparison = try VideoComparison([.psnr])
        #expect(throws: MetricError.shapesDiffer([2, 3, 24, 32], [1, 3, 24, 32])) {
            try comparison.add(reference: truth, other: video.rows(0..<1))
        }
        try comparison.add(reference: truth, other: video)
        let (small, _) = try clip(1, 24, 30)
        #expect(throws: MetricError.shapesDiffer([1, 3, 24, 32], [1, 3, 24, 30])) {
            try comparison.add(reference: small, other: small)
        }
        #expect(comparison.frameCount == 2)
    }

    @Test(.enabled(if: Networks.areHere, Networks.absence)) func learnedDistancesAgreeFromSharedNetworks() throws {
        let (truth, video) = try clip(2, 40, 36)
        let networks = MetricNetworks()
        for _ in 0..<2 {
            var comparison = try VideoComparison([.lpips, .lpipsVGG], networks: networks)
            try comparison.add(reference: truth.rows(0..<1), other: video.rows(0..<1))
            try comparison.add(reference: truth.rows(1..<2), other: video.rows(1..<2))
            #expect(comparison.scores[.lpips] == (try LPIPS(.alexnet).distance(video, truth)))
            #expect(comparison.scores[.lpipsVGG] == (try LPIPS(.vgg16).distance(video, truth)))
        }
    }
}

@Suite struct MetricTests {
    /// A line of help, with the name before it, fits into 80 columns.
    @Test(arguments: Metric.allCases) func isExplainedInALine(metric: Metric) {
        #expect(!metric.explanation.isEmpty && metric.explanation.count <= 62)
        #expect(metric.title.hasPrefix(metric.name) && metric.title.hasSuffix(metric.isBetterWhenLarger ? " ↑" : " ↓"))
    }

    /// What lacks its network says how to fetch it; the others never lack one.
    @Test(arguments: Metric.allCases) func saysWhatIsMissing(metric: Metric) {
        let isHere = metric.network.map(NetworkLibrary.isAvailable) ?? true
        #expect((metric.missingNetwork == nil) == isHere)
        if let error = metric.missingNetwork { #expect("\(error)".contains("make setup")) }
    }
}
