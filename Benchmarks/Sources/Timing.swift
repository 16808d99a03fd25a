import TensorKit

/// Seconds of several runs of one piece of work.
struct Timing: Encodable {
    /// In the order of the runs; never empty.
    let samples: [Double]

    var median: Double {
        let sorted = samples.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
    var least: Double { samples.min() ?? .nan }
    var most: Double { samples.max() ?? .nan }

    private enum CodingKeys: String, CodingKey { case samples, median, min, max }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(samples, forKey: .samples)
        try container.encode(median, forKey: .median)
        try container.encode(least, forKey: .min)
        try container.encode(most, forKey: .max)
    }
}

/// One of the ways to do a piece of work that are measured side by side: does it once and returns the seconds it took.
typealias Side = () throws -> Double

/// How often things are measured.
struct Repetitions {
    /// Runs of a row.
    var runs = 5
    /// Slow rows end with `fewest` runs, or as many more as this many seconds allow.
    var seconds = 45.0
    var fewest = 3

    /// Measures all sides in turn, run by run, so that a machine that slows down slows all of them down. Each side runs before that,
    /// unmeasured; the order is reversed in every other run. What is done within 0.1 s is done several times for one sample, its mean: a
    /// thread that wakes up late would otherwise be all that is measured.
    func alternate(_ sides: [Side]) throws -> [Timing] {
        let counts = try sides.map { side in
            let first = try side()
            return first > Self.sample ? 1 : max(1, min(100, Int(Self.sample / (try side()))))
        }
        return try inTurns(
            zip(sides, counts).map { side, count in
                { try (0..<count).reduce(0.0) { sum, _ in try sum + side() } / Double(count) }
            }
        ).map(Timing.init)
    }

    /// What each run of every side gave, in turn, for sides that need no more warming up and take more than a moment.
    func inTurns<Result>(_ sides: [() throws -> Result]) throws -> [[Result]] {
        var results = [[Result]](repeating: [], count: sides.count)
        let clock = ContinuousClock()
        let began = clock.now
        for run in 0..<runs {
            if run >= fewest, (clock.now - began) / .seconds(1) > seconds { break }
            for index in run % 2 == 0 ? Array(sides.indices) : sides.indices.reversed() {
                rest()
                results[index].append(try sides[index]())
            }
        }
        return results
    }

    /// Seconds of a sample, at the least.
    private static let sample = 0.1
}

/// Seconds that `body` takes on `device`.
func seconds(on device: Device, _ body: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    device.synchronize()
    let began = clock.now
    try body()
    device.synchronize()
    return (clock.now - began) / .seconds(1)
}
