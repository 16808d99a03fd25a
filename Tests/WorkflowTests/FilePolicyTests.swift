import Foundation
import InverseProblems
import TensorKit
import Testing
import VideoIO
import VisionXL

@testable import Workflow

/// What is chosen where a file or the machine decides.
@Suite struct FilePolicyTests {
    /// One case of the noise of a stored measurement.
    struct NoiseCase: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var asked: NoiseChoice?
        var recorded: MeasurementRecord.Noise?
        var info: VideoInfo?
        var step: Double?
        var estimate: Double?
        var sigma: Double
        var source: NoiseFigure.Source
        var codec: String?
        var isMeasured = false
        var problem = Problem(Blur(sigma: 1))
    }

    private static func info(_ codec: String, rgb: Bool, bits: Int = 8) -> VideoInfo {
        VideoInfo(
            width: 64, height: 48, frameRate: .fps25, frameCount: 5, codec: codec, bitDepth: bits,
            pixelFormat: rgb ? "gbrp" : "yuv420p", isRGB: rgb)
    }

    private static let recorded = MeasurementRecord.Noise(added: 0.03, bitDepth: 8, rounding: 0.04, isLossy: false)
    private static let (r8, r16) = (NoiseLevel.rounding(toBits: 8), NoiseLevel.rounding(toBits: 16))

    static let cases: [NoiseCase] = [
        NoiseCase(
            testDescription: "said wins over all", asked: .sigma(0.1), recorded: recorded,
            info: info("h264", rgb: false), step: 0.1,
            estimate: 0.2, sigma: 0.1, source: .said),
        NoiseCase(
            testDescription: "said to be none", asked: .sigma(0), info: info("ffv1", rgb: true), estimate: 0.2,
            sigma: 0, source: .said),
        NoiseCase(
            testDescription: "a record of a lossless file", recorded: recorded, info: info("ffv1", rgb: true),
            estimate: 0.2, sigma: 0.05,
            source: .record),
        NoiseCase(
            testDescription: "a record of numbers in no file", asked: .auto, recorded: recorded, estimate: 0.2,
            sigma: 0.05, source: .record),
        NoiseCase(
            testDescription: "a record of a lossy file", recorded: recorded, info: info("h264", rgb: false), step: 0.05,
            sigma:
                NoiseLevel.combined(0.05, NoiseLevel.coding(quantizerStep: 0.05)), source: .record, codec: "h264",
            isMeasured: true),
        NoiseCase(testDescription: "bits alone", info: info("ffv1", rgb: true), estimate: 0, sigma: r8, source: .bits),
        NoiseCase(testDescription: "16 bits", info: info("png", rgb: true, bits: 16), sigma: r16, source: .bits),
        NoiseCase(testDescription: "luma and chroma", info: info("ffv1", rgb: false), sigma: 5 * r8, source: .bits),
        NoiseCase(
            testDescription: "noisy frames", info: info("ffv1", rgb: true), estimate: 0.2, sigma: 0.2, source: .frames),
        NoiseCase(
            testDescription: "a quantizer that cannot be read", info: info("vp9", rgb: false), estimate: 0.2,
            sigma: NoiseLevel.combined(0.2, 0.035), source: .frames, codec: "vp9"),
        NoiseCase(
            testDescription: "a coding for editing", info: info("prores", rgb: false, bits: 10), estimate: 0.2,
            sigma: NoiseLevel.combined(0.2, 0.018), source: .frames, codec: "prores"),
        NoiseCase(
            testDescription: "blurred averages in a lossy file", recorded: recorded, info: info("h264", rgb: false),
            step: 0.05, sigma: NoiseLevel.combined(0.05, 1.5 * NoiseLevel.coding(quantizerStep: 0.05)),
            source: .record, codec: "h264", isMeasured: true, problem: Problem(Average(frames: 7), Blur(sigma: 3))),
        NoiseCase(
            testDescription: "averages alone in a lossy file", info: info("vp9", rgb: false), estimate: 0.2,
            sigma: NoiseLevel.combined(0.2, 0.035), source: .frames, codec: "vp9", problem: Problem(Average(frames: 7))),
        NoiseCase(
            testDescription: "blurred averages with holes", recorded: recorded, info: info("h264", rgb: false),
            step: 0.05, sigma: NoiseLevel.combined(0.05, NoiseLevel.coding(quantizerStep: 0.05)), source: .record,
            codec: "h264", isMeasured: true,
            problem: Problem(Average(frames: 7), Blur(sigma: 3), Holes(ratio: 0.5, seed: 1))),
        NoiseCase(
            testDescription: "averages of one frame", info: info("vp9", rgb: false), estimate: 0.2,
            sigma: NoiseLevel.combined(0.2, 0.035), source: .frames, codec: "vp9",
            problem: Problem(Average(frames: 1), Blur(sigma: 3))),
        NoiseCase(
            testDescription: "blurred averages that lost nothing", recorded: recorded, info: info("ffv1", rgb: true),
            sigma: 0.05, source: .record, problem: Problem(Average(frames: 7), Blur(sigma: 3))),
    ]

    @Test(arguments: cases) func noise(_ the: NoiseCase) {
        let figure = Policy.noise(
            the.asked, of: the.problem, recorded: the.recorded, file: the.info, quantizerStep: the.step
        ) {
            the.estimate
        }
        #expect(abs(figure.sigma - the.sigma) < 1e-12)
        #expect(figure.source == the.source && figure.coding?.codec == the.codec)
        #expect(figure.coding?.isMeasured ?? false == the.isMeasured)
    }

    @Test func scenesAndFading() {
        #expect(Policy.scenes(nil, without: nil).value == .auto && Policy.scenes(.off, without: nil).value == .off)
        // Of windows that are given only a file of one's own makes others.
        for asked in [SceneChoice?.none, .auto, .off] {
            #expect(Policy.scenes(asked, without: "So it is.").value == .off)
        }
        #expect(Policy.scenes(.auto, without: "So it is.").reason == "So it is.")
        #expect(Policy.scenes(.file("a"), without: "So it is.").value == .file("a"))
        #expect(Policy.fade(context: 4).value == 4 && Policy.fade(context: 0).value == 0)
    }

    @Test func theRest() {
        #expect(Policy.window(9, recorded: 7).value == 9 && Policy.window(nil, recorded: 7).value == 7)
        #expect(Policy.window(nil, recorded: nil).value == 25)
        #expect(Policy.bits(nil).value == 8 && Policy.bits(16).value == 16)
        #expect(Policy.bits(nil, codec: .ffv1, storedBits: 10).value == 16 && Policy.bits(8, storedBits: 10).value == 8)
        #expect(Policy.exactCodecSteps(nil, hasDraft: false) == nil)
        #expect(Policy.exactCodecSteps(nil, hasDraft: true) == 2 && Policy.exactCodecSteps(5, hasDraft: true) == 5)
        #expect(
            Policy.type(nil, on: .cuda(0)).value == .bfloat16 && Policy.type(.float32, on: .cuda(0)).value == .float32)
        #expect(Policy.device(.cuda(3)).value == .cuda(3))
    }
}

/// How a result is stored where little is said of it.
@Suite struct EncodingPolicyTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var path: String
        var asked = EncodingChoice()
        var bits: Int?
        var stored = 8
        var codec: VideoEncoding.Codec
        var depth: Int?
        var testDescription: String { "\(path), \(stored) bits, \(asked.codec?.rawValue ?? "no codec") asked" }
    }

    static let cases = [
        Case(path: "a.mp4", codec: .h264, depth: 8), Case(path: "a.mov", codec: .h264, depth: 8),
        Case(path: "a.mkv", codec: .ffv1, depth: 8), Case(path: "a/", codec: .png, depth: 8),
        Case(path: "a.mp4", stored: 10, codec: .h265, depth: 10),
        Case(path: "a.mov", stored: 16, codec: .h265, depth: 10),
        Case(path: "a.mkv", stored: 10, codec: .ffv1, depth: 16), Case(path: "a", stored: 12, codec: .png, depth: 16),
        // Eight bits that are asked for are H.264's.
        Case(path: "a.mp4", bits: 8, stored: 10, codec: .h264, depth: 8),
        Case(path: "a.mp4", bits: 10, codec: .h265, depth: 10),
        Case(path: "a.mp4", asked: .init(codec: .h264), stored: 10, codec: .h264, depth: 10),
        Case(path: "a.mp4", asked: .init(codec: .h265), codec: .h265, depth: 10),
        Case(path: "a.mov", asked: .init(codec: .prores), codec: .prores, depth: 10),
        Case(path: "a.mkv", asked: .init(codec: .h264, pixelFormat: "yuv444p10le"), codec: .h264, depth: nil),
    ]

    @Test(arguments: cases) func encoding(_ the: Case) throws {
        let chosen = try Policy.encoding(the.asked, bits: the.bits, to: the.path, storedBits: the.stored).value
        #expect(chosen.codec == the.codec && chosen.bits == the.depth)
    }

    @Test func wordsAreReadAsAShellReadsThem() throws {
        func words(_ text: String) throws -> [String] { try EncodingChoice(ffmpeg: text).words() }
        #expect(try words("-preset slow") == ["-preset", "slow"])
        #expect(try words("  -metadata 'title=a b' \"c d\"e \\'f '' ") == ["-metadata", "title=a b", "c de", "'f", ""])
        #expect(try words("") == [])
        for text in ["'a", "\"a", "a\\"] { #expect(throws: WorkflowError.self) { try words(text) } }
    }
}

@Suite struct ExitStatusTests {
    /// Scripts and queues depend on these.
    @Test func numbersStay() {
        #expect(ExitStatus.allCases.map(\.rawValue) == [0, 1, 2, 3, 42, 64, 75, 130])
    }
}
