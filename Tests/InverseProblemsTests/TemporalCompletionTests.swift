import TensorKit
import TestSupport
import Testing

@testable import InverseProblems

@Suite struct TemporalCompletionTests {
    static let size = [3, 8, 12]

    /// |D X| over time, the colours of a pixel together.
    static func change(_ X: Tensor) throws -> Double {
        try (X.rows(1..<X.size(0)) - X.rows(0..<X.size(0) - 1)).squared().mean(along: [1], keepingDimensions: true)
            .squareRoot().sum().item()
    }

    static func measured(_ X: Tensor, over frames: Int, _ boundary: TemporalBoundary = .open) throws -> VideoMeasurement
    {
        let A = try TemporalAverage(window: frames, boundary: boundary)
        return try VideoMeasurement(A.apply(X), operator: A, noise: .sigma(0.001))
    }

    /// A picture of which a part turns dark, and another one light later on.
    static func film(_ count: Int) throws -> Tensor {
        let picture = try movingTexture(1, 8, 12)
        var film = try picture.expanded([count, -1, -1, -1]).contiguous()
        for (frame, pixels, value) in [(count / 3, 0..<5, -0.8), (count / 2, 7..<12, 0.9)] {
            for later in frame..<count {
                var row = try film.rows(later..<later + 1)
                try row.replace(along: 3, from: pixels.lowerBound, with: .full([1, 3, 8, pixels.count], value))
                try film.replace(along: 0, from: later, with: row)
            }
        }
        return film
    }

    /// What is measured stays measured, whatever the frames.
    @Test(arguments: [(2, TemporalBoundary.open), (5, .open), (7, .valid), (4, .valid)])
    func measuresTheSame(frames: Int, boundary: TemporalBoundary) throws {
        let X = try random([17] + Self.size, seed: 3)
        let measurement = try Self.measured(X, over: frames, boundary)
        let completion = try #require(try TemporalCompletion(measurement))
        let result = try completion(X)
        #expect(try relativeDistance(measurement.operator.apply(result), measurement.frames) < 1e-5)
        #expect(try Self.change(result) < Self.change(X))
    }

    /// What changes rarely comes back, though the average does not see it: least squares would leave an echo of each change.
    @Test(arguments: [3, 5, 7]) func findsWhatChangesRarely(frames: Int) throws {
        let truth = try Self.film(20)
        let measurement = try Self.measured(truth, over: frames)
        // The least of all videos that are measured alike.
        let least = try measurement.operator.pseudoinverse(measurement.frames)
        let completion = try #require(try TemporalCompletion(measurement))
        let result = try completion(least)
        #expect(try relativeDistance(least, truth) > 0.05)
        #expect(try relativeDistance(result, truth) < 0.1 * relativeDistance(least, truth))
    }

    @Test func whatStandsStillStays() throws {
        let still = try movingTexture(1, 8, 12).expanded([9, -1, -1, -1]).contiguous()
        let completion = try #require(try TemporalCompletion(Self.measured(still, over: 4)))
        #expect(try relativeDistance(completion(still), still) < 1e-6)
    }

    /// Rows are worked on some at a time.
    @Test func rowsStandAlone() throws {
        let X = try random([33, 3, 40, 400], seed: 4)
        let completion = try #require(try TemporalCompletion(Self.measured(X, over: 3)))
        let part = try X.narrow(2, from: 17, count: 5).contiguous()
        #expect(try relativeDistance(completion(X).narrow(2, from: 17, count: 5), completion(part)) < 1e-5)
    }

    /// Where every frame is told there is nothing to find, unless what is hardly seen counts as not seen.
    @Test func nothingWhereAllIsSeen() throws {
        func isNeeded(_ A: TemporalAverage) throws -> Bool {
            try TemporalCompletion.isNeeded(for: #require(try A.separated(for: [10] + Self.size)))
        }
        #expect(try !isNeeded(TemporalAverage(window: 3, boundary: .replicate)))
        #expect(try isNeeded(TemporalAverage(window: 3, boundary: .open)))
        let X = try random([10] + Self.size, seed: 5)
        #expect(try TemporalCompletion(Self.measured(X, over: 3, .replicate)) == nil)
        #expect(try TemporalCompletion(Self.measured(X, over: 7, .circular)) == nil)
        #expect(try TemporalCompletion(Self.measured(X, over: 1)) == nil)
        #expect(try TemporalCompletion(Self.measured(X, over: 7, .circular), below: 0.1) != nil)
        // Seven frames in a circle of fourteen have the same mean wherever they begin, if the rest is their negative.
        #expect(try TemporalCompletion(Self.measured(random([14] + Self.size, seed: 6), over: 7, .circular)) != nil)
        let blur = try Problem(Blur(sigma: 1)).operator(height: 8, width: 12)
        #expect(try TemporalCompletion(VideoMeasurement(blur.apply(X), operator: blur, noise: .sigma(0.01))) == nil)
    }
}
