import Foundation
import Metrics
import TensorKit
import TestSupport
import Testing
import VideoIO
import Weights

/// Where the networks are, and what the reference implementations of Benchmarks/reference/metrics.py said.
enum Networks {
    static let areHere = NetworkLibrary.Network.allCases.allSatisfy { NetworkLibrary.isAvailable($0) }
    static let absence: Comment = "the metrics' networks are not here; run `make setup`"

    /// The number or numbers of that name, as (1, n).
    static func expected(_ name: String) throws -> [Double] {
        let fixture = projectRoot.appendingPathComponent("Tests/MetricsTests/Fixtures/metrics.safetensors")
        return try SafetensorsFile(at: fixture).tensors().require(name).array()
    }
}

@Suite(.enabled(if: Networks.areHere, Networks.absence)) struct GoldenLPIPSTests {
    @Test(arguments: LPIPS.Network.allCases, [(64, 80), (45, 71)])
    func agreesWithPyTorch(network: LPIPS.Network, size: (Int, Int)) throws {
        let (a, b) = try pictures(3, size.0, size.1, type: .float32)
        let expected = try Networks.expected("lpips.\(network).\(size.0)x\(size.1)")
        #expect(isClose(try LPIPS(network).distance(a, b).perFrame, expected, within: 1e-6))
    }

    /// The numbers that the authors' README gives for their three pictures.
    @Test(
        .enabled(if: sharedFolder("lpips-example") != nil, "../shared/lpips-example is not here"),
        .enabled(if: ffmpegIsInstalled, needsFFmpeg))
    func theAuthorsExample() async throws {
        let folder = try #require(sharedFolder("lpips-example"))
        func picture(_ name: String) async throws -> Tensor {
            var frames: [VideoFrame] = []
            for try await frame in try await VideoReader(folder.appendingPathComponent(name).path).frames() {
                frames.append(frame)
            }
            return try Tensor(frames: frames)
        }
        let lpips = try LPIPS(.alexnet)
        let reference = try await picture("ex_ref.png")
        #expect(abs(try await lpips.distance(picture("ex_p0.png"), reference).mean - 0.722) < 0.001)
        #expect(abs(try await lpips.distance(picture("ex_p1.png"), reference).mean - 0.138) < 0.001)
    }

    @Test(arguments: LPIPS.Network.allCases) func laws(network: LPIPS.Network) throws {
        let lpips = try LPIPS(network)
        let (a, b) = try pictures(2, 40, 36)
        let score = try lpips.distance(a, b)
        #expect(try lpips.distance(a, a).perFrame == [0, 0])
        #expect(try isClose(lpips.distance(b, a).perFrame, score.perFrame, within: 1e-7))
        #expect(try isClose(lpips.distance(a.rows(1..<2), b.rows(1..<2)).perFrame, [score.perFrame[1]], within: 1e-7))
        let black = try Tensor.full([2, 3, 40, 36], -1)
        #expect(try lpips.distance(black, black).perFrame == [0, 0])
        #expect(try lpips.distance(black, a).perFrame.allSatisfy { $0 > 0.1 && $0 < 2 })
    }

    @Test func whatItRefuses() throws {
        let lpips = try LPIPS()
        let a = try Tensor.zeros([1, 3, 32, 32])
        #expect(throws: MetricError.shapesDiffer([1, 3, 32, 32], [1, 3, 32, 31])) {
            try lpips.distance(a, a.narrow(3, from: 0, count: 31))
        }
        #expect(throws: MetricError.notColour(channels: 1)) {
            try lpips.distance(a.narrow(1, from: 0, count: 1), a.narrow(1, from: 0, count: 1))
        }
        // The least size is the least that the network takes.
        for (network, least) in [(LPIPS.Network.alexnet, 31), (.vgg16, 16)] {
            let lpips = try LPIPS(network)
            let small = try Tensor.zeros([1, 3, least - 1, 64])
            #expect(throws: MetricError.framesTooSmall(height: least - 1, width: 64, least: least)) {
                try lpips.distance(small, small)
            }
            let enough = try Tensor.zeros([1, 3, least, least])
            #expect(try lpips.distance(enough, enough).mean == 0)
        }
        for value in [Float.nan, .infinity, -.infinity] {
            var values = [Float](repeating: 0, count: a.count)
            values[1000] = value
            let b = try Tensor(values, shape: a.shape)
            #expect(throws: MetricError.notFinite(frame: 0)) { try lpips.distance(b, a) }
            #expect(throws: MetricError.notFinite(frame: 0)) { try lpips.distance(a, b) }
        }
        #expect(throws: WeightsError.self) { try LPIPS(.vgg16, weights: NetworkLibrary.url(of: .lpipsAlexNet)) }
    }
}

@Suite(.enabled(if: Networks.areHere, Networks.absence)) struct GoldenI3DTests {
    @Test(arguments: [(9, 60, 50), (12, 240, 250), (17, 48, 64)]) func agreesWithPyTorch(size: (Int, Int, Int)) throws {
        let (clip, _) = try pictures(size.0, size.1, size.2, type: .float32)
        let features = try I3D().features(of: clip)
        #expect(features.shape == [1, 400])
        let expected = try Networks.expected("i3d.\(size.0)x\(size.1)x\(size.2)")
        #expect(isClose(try features.array(), expected, within: 1e-4))
    }

    @Test func whatItRefuses() throws {
        let network = try I3D()
        #expect(throws: MetricError.clipTooShort(8, least: 9)) {
            try network.features(of: Tensor.zeros([8, 3, 16, 16]))
        }
        #expect(throws: MetricError.notColour(channels: 1)) { try network.features(of: Tensor.zeros([9, 1, 16, 16])) }
        #expect(throws: MetricError.notFinite(frame: 4)) {
            var clip = try Tensor.zeros([9, 3, 16, 16])
            try clip.replace(along: 0, from: 4, with: Tensor.full([1, 3, 16, 16], .nan))
            return try network.features(of: clip)
        }
        #expect(throws: WeightsError.self) { try I3D(weights: NetworkLibrary.url(of: .lpipsAlexNet)) }
    }

    @Test func clipsOfBlackAndOfDifferentLengths() throws {
        let network = try I3D()
        let black = try Tensor.full([9, 3, 16, 16], -1)
        let larger = try Tensor.full([9, 3, 20, 24], -1)
        let distance = try frechetVideoDistance([black, black], [larger, black], network: network)
        #expect(distance.value < 1e-6)
        #expect(distance.clipCounts == [2, 2] && distance.isWeak)
        let longer = try Tensor.full([10, 3, 16, 16], -1)
        #expect(throws: MetricError.lengthsDiffer(9, 10)) {
            try frechetVideoDistance([black, black], [black, longer], network: network)
        }
        #expect(throws: MetricError.tooFewClips(1, least: 2)) {
            try frechetVideoDistance([black, black], [black], network: network)
        }
        let (bright, _) = try pictures(9, 16, 16)
        #expect(try frechetVideoDistance([black, black], [bright, bright], network: network).value > 100)
    }
}

@Suite struct GoldenFrechetDistanceTests {
    /// The last has more clips than features, the middle one fewer.
    @Test(arguments: [(16, 60, 45), (16, 10, 12), (400, 500, 450)]) func agreesWithSciPy(size: (Int, Int, Int)) throws {
        let (a, b) = (try features(size.1, size.0, seed: 1), try features(size.2, size.0, seed: 2) * 1.25)
        let expected = try Networks.expected("frechet.\(size.0).\(size.1).\(size.2)")[0]
        let distance = try frechetDistance(a, b)
        #expect(abs(distance.value - expected) < 1e-6 * expected)
        #expect(distance.clipCounts == [size.1, size.2] && distance.isWeak == (size.1 <= size.0))
        #expect(abs(try frechetDistance(b, a).value - expected) < 1e-6 * expected)
    }

    @Test func laws() throws {
        let a = try features(20, 30, seed: 5)
        #expect(try frechetDistance(a, a).value < 1e-9)
        // A shift moves the mean alone; a factor s leaves (s - 1)^2 of the variance.
        #expect(abs(try frechetDistance(a, a + 0.5).value - 30 * 0.25) < 1e-9)
        let mean = try a.mean(along: [0], keepingDimensions: true)
        let variance = try (a - mean).squared().sum().item() / 19
        #expect(abs(try frechetDistance(a - mean, (a - mean) * 3).value - 4 * variance) < 1e-9 * variance)
        // Sets without variance: two points.
        let point = try Tensor.full([3, 4], 2)
        #expect(try frechetDistance(point, point + 1).value == 4)
        #expect(
            try frechetDistance(point, point).description == "0.00 (of 3 and 3 clips: too few for a reliable number)")
    }

    @Test func whatItRefuses() throws {
        let a = try features(4, 3, seed: 1)
        #expect(throws: MetricError.tooFewClips(1, least: 2)) { try frechetDistance(a, a.rows(0..<1)) }
        #expect(throws: MetricError.notFeatures([4, 3], [4, 2])) {
            try frechetDistance(a, a.narrow(1, from: 0, count: 2))
        }
        #expect(throws: MetricError.notFeatures([4, 3], [12])) { try frechetDistance(a, a.reshaped([12])) }
        for value in [Double.nan, .infinity, 1e200] {
            #expect(throws: MetricError.featuresNotFinite) { try frechetDistance(a, a * value) }
        }
    }
}

/// Set-up's converter of pickles, tested in its own language.
@Suite struct ConverterTests {
    static let python =
        ProcessInfo.processInfo.environment["PYTHON"].flatMap { program($0) ?? $0 } ?? program("python3")

    @Test(.enabled(if: python != nil, "python3 is not installed")) func convertNetworks() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(Self.python))
        process.arguments = [projectRoot.appendingPathComponent("Tests/MetricsTests/convert_networks_test.py").path]
        let pipe = Pipe()
        process.standardError = pipe
        try process.run()
        let output = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(output)")
        #expect(output.contains("Ran ") && output.contains("OK"))
    }
}
