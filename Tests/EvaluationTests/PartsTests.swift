import Evaluation
import Foundation
import InverseProblems
import TensorKit
import Testing
import VideoIO
import VisionXL

@Suite struct PartsTests {
    @Test(arguments: ["float", "8bit", "h264:0", "h264:51"])
    func storagesAreReadAsTheyAreWritten(_ text: String) throws {
        let storage = try #require(MeasurementStorage(text))
        #expect(storage.description == text)
        #expect(try JSONDecoder().decode([MeasurementStorage].self, from: JSONEncoder().encode([storage])) == [storage])
    }

    @Test(arguments: ["", "16bit", "h264", "h264:52", "h264:-1", "h264:x", "h264:3:4"])
    func otherStoragesAreRefused(_ text: String) {
        #expect(MeasurementStorage(text) == nil)
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([MeasurementStorage].self, from: Data("[\"\(text)\"]".utf8))
        }
    }

    @Test func aFileRoundsAndLeavesHolesEmpty() async throws {
        var random = RandomGenerator(seed: 3, stream: 0)
        let y = try random.normal([3, 3, 20, 26]) * 0.4
        let known = try Mask.random(ratio: 0.5, seed: 1, height: 20, width: 26).mask
        let holes = Problem(Holes(ratio: 0.5, seed: 1))
        let A = try holes.operator(height: 20, width: 26)
        func measured(_ y: Tensor) throws -> VideoMeasurement {
            try VideoMeasurement(y, operator: A, noise: .sigma(0.01))
        }
        let stored = try await MeasurementStorage.eightBit.stored(measured(y.clamped(to: -1...1)), of: holes)
        let eight = stored.frames
        #expect(
            stored.noise.sigma == NoiseLevel.combined(0.01, NoiseLevel.rounding(toBits: 8))
                && stored.noise.coding == nil)
        let error = try ((eight - y.clamped(to: -1...1)) * known).absolute().maximum().item()
        #expect(error <= 1 / 255.0 + 1e-6 && error > 0.5 / 255)
        let empty = try (eight * (known * -1 + 1)).absolute().maximum().item()
        #expect(empty == 0)
        let float = try await MeasurementStorage.float.stored(measured(y), of: holes)
        #expect(try float.frames.array(of: Float.self) == (y * known).array(of: Float.self))
        #expect(float.noise.sigma == 0.01)
    }

    @Test func h264IsAnotherNearbyVideo() async throws {
        let scratch = try Scratch()
        let clip = try await scratch.clip("clip", height: 48, width: 64)
        var frames: [Tensor] = []
        for try await frame in try await VideoReader(clip.path).frames() { frames.append(try frame.tensor) }
        // Of one colour, so that halved chroma does not count.
        let video = try Tensor.stack(frames).mean(along: [1], keepingDimensions: true).expanded([-1, 3, -1, -1])
            .contiguous()
        var errors: [Double] = []
        var noises: [Double] = []
        let measurement = try VideoMeasurement(video, operator: Identity(), noise: .none)
        for quality in [5, 40] {
            let stored = try await MeasurementStorage.h264(quality: quality).stored(measurement, of: Problem())
            #expect(stored.frames.shape == video.shape)
            errors.append(try (stored.frames - video).norm() / video.norm())
            // The coding's noise is told by its quantizer, as for a file that is restored.
            #expect(stored.noise.coding?.codec == "h264" && stored.noise.coding?.isMeasured == true)
            noises.append(stored.noise.sigma)
        }
        #expect(noises[0] > NoiseLevel.rounding(toBits: 8) && noises[1] > 2 * noises[0])
        #expect(errors[0] < 0.05)
        #expect(errors[0] < errors[1])
    }

    @Test func thePaperHasThreeSizes() {
        func name(_ size: ClipSize, _ width: Int, _ height: Int) -> String {
            let size = size.size(forWidth: width, height: height)
            return "\(size.width)x\(size.height)"
        }
        #expect(name(.paper, 1920, 1080) == "1280x768")
        #expect(name(.paper, 1080, 1920) == "768x1280")
        #expect(name(.paper, 500, 520) == "1024x1024")
        #expect(name(.original, 7, 5) == "7x5")
    }

    @Test func clipsAreFoundUnderUniqueNames() async throws {
        let scratch = try Scratch()
        for folder in ["many/x", "many/y", "other"] {
            try FileManager.default.createDirectory(atPath: scratch.path(folder), withIntermediateDirectories: true)
        }
        for file in ["many/b.mp4", "many/a.mkv", "many/notes.txt", "many/x/000.png", "other/b.mov"] {
            try Data().write(to: URL(fileURLWithPath: scratch.path(file)))
        }
        let clips = try Clip.find([scratch.path("many"), scratch.path("other/b.mov")])
        #expect(clips.map(\.name) == ["a", "b", "x", "b-2"])
        #expect(try Clip.find([scratch.path("many/x")]).map(\.path) == [scratch.path("many/x")])
        #expect(throws: EvaluationError.noClips(scratch.path("many/y"))) { try Clip.find([scratch.path("many/y")]) }
        #expect(throws: VideoError.fileMissing(scratch.path("none"))) { try Clip.find([scratch.path("none")]) }
    }

    /// The average's eigenvalues are those of its discrete Fourier transform: sin(pi k w / n) / (w sin(pi k / n)).
    @Test(arguments: [(25, 7), (14, 7), (21, 7), (15, 7), (6, 3), (8, 3)])
    func anAverageIsInvertibleWhereItHasNoZero(_ frames: Int, _ window: Int) throws {
        let problem = Problem(Average(frames: window))
        let eigenvalues = (1..<frames).map { k -> Double in
            let angle = Double.pi * Double(k) / Double(frames)
            return abs(sin(angle * Double(window)) / (Double(window) * sin(angle)))
        }
        let isInvertible = eigenvalues.allSatisfy { $0 > 1e-9 }
        #expect(EvaluationTask(name: "", problem: problem).isInvertibleInTime(frames: frames) == isInvertible)
        let replicated = Problem(Average(frames: window, boundary: .replicate))
        #expect(!EvaluationTask(name: "", problem: replicated).isInvertibleInTime(frames: frames))
    }

    @Test(arguments: Ablation.allCases)
    func ablationsVaryOneThing(_ ablation: Ablation) throws {
        let variants = ablation.variants(of: ablation.base)
        #expect(Set(variants.map(\.name)).count == variants.count && variants.count >= 3)
        if ablation == .speed {
            #expect(variants.map(\.options.speed) == Speed.allCases)
            for variant in variants {
                var options = variant.options
                options.speed = nil
                #expect(options == RestorationOptions())
            }
            return
        }
        if ablation == .parts {
            // Together they are all that differs: no part of the paper's that no row puts back.
            var all = RestorationOptions()
            for variant in variants.dropFirst(2) where variant.options.priorError == nil {
                try variant.options.validate()
                #expect(variant.options != RestorationOptions() && variant.options != .paper)
                all.merge(variant.options)
            }
            all.samplesEncoder = RestorationOptions.paper.samplesEncoder
            all.renoising = RestorationOptions.paper.renoising
            all.solvesFramesAlone = RestorationOptions.paper.solvesFramesAlone
            #expect(all == .paper && variants[0].options == RestorationOptions() && variants[1].options == .paper)
            return
        }
        // The paper's own value is among them, everything else is the paper's.
        #expect(variants.contains { $0.options == .paper })
        for variant in variants {
            var options = variant.options
            try options.validate()
            options.start = RestorationOptions.paper.start
            options.tau = RestorationOptions.paper.tau
            options.conjugateGradientSteps = RestorationOptions.paper.conjugateGradientSteps
            options.lowPass = RestorationOptions.paper.lowPass
            options.dataStep = RestorationOptions.paper.dataStep
            #expect(options == .paper)
        }
    }
}

extension RestorationOptions {
    /// Takes over what others say.
    fileprivate mutating func merge(_ other: RestorationOptions) {
        (steps, tau) = (other.steps ?? steps, other.tau ?? tau)
        (dataStep, start) = (other.dataStep ?? dataStep, other.start ?? start)
        conjugateGradientSteps = other.conjugateGradientSteps ?? conjugateGradientSteps
        (firstEstimate, upsampling) = (other.firstEstimate ?? firstEstimate, other.upsampling ?? upsampling)
        finalConsistencySteps = other.finalConsistencySteps ?? finalConsistencySteps
        codecResidual = other.codecResidual ?? codecResidual
        (steadiness, eta, lowPass) = (other.steadiness ?? steadiness, other.eta ?? eta, other.lowPass ?? lowPass)
    }
}
