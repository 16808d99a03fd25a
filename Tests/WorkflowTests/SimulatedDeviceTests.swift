import Foundation
import InverseProblems
import LatentDiffusion
import Synchronization
import TensorKit
import TestSupport
import Testing
import VideoIO
import VisionXL

@testable import Workflow

/// Restorations from file to file on a simulated device: the frames of the CPU, and no more waiting than is written down.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct SimulatedDeviceTests {
    static let frames = 5
    static let (height, width) = (48, 64)

    /// What is asked of a restoration.
    struct Scenario: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let problem: Problem
        /// Of a level of 8 bits, what frames may be off by where rounding grows.
        let tolerance: Double
        /// How often a timestep waits, its last data step included.
        let waits: ClosedRange<Int>
        /// Frames of each window that go to the device, and that come back, where there are two of them.
        let windows: (batches: [Int], stored: [Int])?
        let change: @Sendable (inout Recipe) -> Void
        /// Without one, power iterations begin with a video of noise.
        var hasForm: Bool { testDescription != "blurred after holes" }

        init(
            _ name: String, _ problem: Problem, tolerance: Double = 1, waits: ClosedRange<Int> = 1...1,
            windows: (batches: [Int], stored: [Int])? = nil,
            _ change: @escaping @Sendable (inout Recipe) -> Void = { _ in }
        ) {
            (testDescription, self.problem, self.tolerance, self.waits, self.windows, self.change) = (
                name, problem, tolerance, waits, windows, change
            )
        }
    }

    private static func task(_ name: String) -> Problem { (try? Problem(task: name)) ?? Problem() }

    /// Those whose data step has a closed form: one wait for each timestep.
    static let closedForms = [
        Scenario("sr4", task("sr4")), Scenario("deblur", task("deblur")), Scenario("inpaint", task("inpaint")),
        Scenario("average", Problem(Average(frames: 3))),
        Scenario("inpaint+", Problem(Average(frames: 3), Holes(ratio: 0.5))),
        Scenario("sr4+", Problem(Average(frames: 3), Shrink(factor: 4))),
        Scenario("deblur+", Problem(Average(frames: 3), Blur(sigma: 2))),
        Scenario("grey", Problem(Grey(.bt709))), Scenario("grey and blurred", Problem(Blur(sigma: 1), Grey(.bt601))),
        Scenario("average without border", Problem(Average(frames: 3, boundary: .valid))),
        Scenario("shrunk averages", Problem(Average(frames: 2), Shrink(factor: 2))),
        Scenario("one error", Problem(Average(frames: 3), Holes(ratio: 0.5))) { $0.options.priorError = 1...1 },
        Scenario("one error of a blur", task("deblur")) { $0.options.priorError = 1...1 },
        Scenario("noise that is said", task("deblur")) { $0.noise = .sigma(0.02) },
        Scenario("smooth first estimate", task("sr4")) { $0.options.firstEstimate = .smooth },
        Scenario("no inversion", task("sr4")) { $0.options.start = .sharedNoise },
        Scenario("every frame inverted", task("sr4")) { $0.options.start = .everyFrameInversion },
        Scenario("two windows", task("inpaint"), windows: ([2, 3], [2, 3])) { ($0.window, $0.context) = (3, 0) },
        // With the default context: all frames are in both, and one on each side of the edge is faded.
        Scenario("two windows, faded", task("inpaint"), windows: ([5, 5], [3, 4])) { $0.window = 3 },
        Scenario("no steadying", task("deblur")) { $0.options.steadiness = 0 },
        Scenario("frames of one's own", task("sr4")) {
            $0.firstEstimateFrom = $0.input.replacingOccurrences(of: "m.mkv", with: "clip.mkv")
        },
        Scenario("frames of one's own, averaged", Problem(Average(frames: 3, boundary: .valid), Shrink(factor: 4))) {
            $0.firstEstimateFrom = $0.input.replacingOccurrences(of: "m.mkv", with: "clip.mkv")
        },
    ]

    /// Those that iterate, draw noise for each frame, or follow the paper: an iteration waits twice, a noise once for each copy.
    static let others = [
        Scenario(
            "blurred after holes", Problem(stages: [Holes(ratio: 0.2), Blur(sigma: 1)]), tolerance: 3, waits: 2...1010),
        Scenario(
            "blurred, then holes", Problem(stages: [Blur(sigma: 1), Holes(ratio: 0.2)]), tolerance: 3, waits: 2...1010),
        Scenario("paper, deblur", task("deblur"), tolerance: 6, waits: 21...21) { $0.options = .paper },
        Scenario("paper, sr4+", Problem(Average(frames: 3), Shrink(factor: 4)), tolerance: 6, waits: 3...21) {
            $0.options = .paper
        },
        Scenario("conjugate gradients, frame by frame", task("deblur"), tolerance: 6, waits: 106...106) {
            $0.options.dataStep = .conjugateGradients
            $0.options.solvesFramesAlone = true
        },
        Scenario("noise of each frame", task("sr4"), waits: 1...2) { $0.options.renoising = .independent },
        // Two passes, of four frames and one.
        Scenario("sampled encoder", task("sr4"), waits: 1...3) { $0.options.samplesEncoder = true },
    ]

    /// A model, a clip and its measurement, in a folder of their own.
    private struct Stage {
        let folder: TemporaryFolder
        let recipe: Recipe

        init(_ scenario: Scenario) async throws {
            folder = try TemporaryFolder("simulated")
            try TinyModel.write(to: URL(fileURLWithPath: folder.file("model")))
            let clip = folder.file("clip.mkv")
            let writer = try await VideoWriter(to: clip, width: width, height: height, bitDepth: 8, frameRate: .fps25)
            for frame in try VideoFrame.frames(of: movingTexture(frames, height, width), bitDepth: 8) {
                try await writer.append(frame)
            }
            try await writer.finish()
            _ = try await Workflow.degrade(
                DegradationRequest(input: clip, output: folder.file("m.mkv"), problem: scenario.problem))
            var recipe = Recipe(
                input: folder.file("m.mkv"), output: "", model: ModelChoice(folder.file("model"), dtype: .float32))
            recipe.options.steps = 10
            // The measurement has 16.
            recipe.bits = 8
            scenario.change(&recipe)
            self.recipe = recipe
        }

        /// The restored frames, and what was told of on the way.
        func restored(
            on device: Device, _ tell: @escaping @Sendable (RestorationEvent) -> Void = { _ in }
        ) async throws -> [Tensor] {
            var recipe = recipe
            recipe.output = folder.file("\(device).mkv".replacingOccurrences(of: ":", with: "-"))
            try await Workflow.restore(recipe, Execution(device: device), tell: tell)
            var result: [Tensor] = []
            for try await frame in try await VideoReader(recipe.output).frames() { result.append(try frame.tensor) }
            return result
        }
    }

    private typealias Mark = (progress: RestorationProgress, events: Int)

    private func check(_ scenario: Scenario, on device: Device) async throws -> (DeviceTraffic, [Mark]) {
        let stage = try await Stage(scenario)
        let expected = try await stage.restored(on: .cpu)
        let traffic = DeviceTraffic()
        let marks = Mutex<[Mark]>([])
        let found = try await traffic.counting {
            try await stage.restored(on: device) { event in
                guard case .progress(let progress, _, _, _) = event else { return }
                marks.withLock { $0.append((progress, traffic.events.count)) }
            }
        }
        #expect(found.count == expected.count && found.count > 0)
        for (found, expected) in zip(found, expected) {
            let difference = try (found - expected).absolute().maximum().item() * 255 / 2
            #expect(difference <= scenario.tolerance + 0.01, "\(difference) levels of 8 bits")
        }
        return (traffic, marks.withLock { $0 })
    }

    /// Waits from one data step to the next, by their number from 1; those before the first one's networks not counted.
    private func waits(_ traffic: DeviceTraffic, _ marks: [Mark]) -> [[DeviceTraffic.Event]] {
        var result: [[DeviceTraffic.Event]] = []
        var last: Int?
        for mark in marks {
            if mark.progress.step == 0 { last = nil }
            if last == nil, mark.progress.phase == .denoising { last = mark.events }
            guard mark.progress.residual != nil, let start = last else { continue }
            result.append(Array(traffic.events[start..<mark.events]))
            last = mark.events
        }
        return result
    }

    /// The frames of the CPU; a timestep waits once, for its progress; frames cross once in each direction.
    @Test(arguments: closedForms + others) func aTimestepWaitsOnce(_ scenario: Scenario) async throws {
        let (traffic, marks) = try await check(scenario, on: .simulated(.cuda))
        let waits = waits(traffic, marks)
        #expect(waits.count >= 3)
        for (index, events) in waits.enumerated() {
            #expect(scenario.waits.contains(events.count), "\(index + 1): \(events.count), \(events.prefix(8))")
            #expect(events.filter { $0.kind == .down }.allSatisfy { $0.bytes < 1000 })
        }
        // Frames come back once, as bytes (two for a window that waits for others), and nothing else of their size does.
        let size = 3 * Self.height * Self.width * (scenario.windows == nil ? 1 : 2)
        let stored = scenario.windows?.stored.reduce(0, +) ?? Self.frames
        let large = traffic.events.filter { $0.kind == .down && $0.bytes >= size }
        // What the windows of a scene have in common goes into the work folder, too: latents, and the same inverted, here as large as a frame.
        let shared = scenario.windows == nil ? 0 : 2
        #expect(large.count == stored + shared && large.allSatisfy { $0.bytes == size }, "\(large)")
        #expect(traffic.events.filter { $0.kind == .down && $0.bytes < size }.allSatisfy { $0.bytes < 4000 })
        // The measurement goes there once, window by window, each with its context.
        let going = scenario.windows?.batches.reduce(0, +) ?? Self.frames
        let shape = try scenario.problem.operator(height: Self.height, width: Self.width)
            .outputShape(for: [going, 3, Self.height, Self.width])
        guard scenario.hasForm else { return }
        func taken(_ frame: [Int]) -> [DeviceTraffic.Event] {
            traffic.events.filter { event in
                event.kind == .up && event.what.hasPrefix("float32 [")
                    && event.what.hasSuffix(", \(frame.map(String.init).joined(separator: ", "))]")
            }
        }
        let measured = taken(Array(shape.dropFirst()))
        #expect(measured.reduce(0) { $0 + $1.bytes } == 4 * shape.reduce(1, *), "\(measured)")
        // So do frames that are brought along.
        guard scenario.testDescription.hasPrefix("frames of one's own") else { return }
        let own = taken([3, Self.height, Self.width])
        #expect(own.reduce(0) { $0 + $1.bytes } == 4 * 3 * Self.frames * Self.height * Self.width, "\(own)")
    }

    /// Without float64 and poolings that do not divide.
    @Test(arguments: closedForms + others) func metalIsTheCPU(_ scenario: Scenario) async throws {
        _ = try await check(scenario, on: .simulated(.mps))
    }
}
