import Foundation
import InverseProblems
import TensorKit
import TestSupport
import Testing

@Suite struct ProblemTests {
    /// A stage that is written and the same as a value.
    struct Written: Sendable, CustomTestStringConvertible {
        let json: String
        let problem: Problem
        var testDescription: String { json }

        init(_ json: String, _ stages: any Stage...) { (self.json, problem) = (json, Problem(stages: stages)) }
    }

    static func decoded(_ text: String) throws -> Problem {
        try JSONDecoder().decode(Problem.self, from: Data(text.utf8))
    }
    static func encoded(_ problem: Problem) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(problem), as: UTF8.self)
    }

    /// A sentence: one, with an end.
    static func isSentence(_ text: String) -> Bool {
        text.hasSuffix(".") && !text.dropLast().contains(". ") && !text.contains("\n")
            && text.first?.isUppercase == true
    }

    // MARK: Presets

    @Test(arguments: Problem.tasks) func presetsSurviveJSON(task: String) throws {
        let problem = try Problem(task: task)
        #expect(try Self.decoded(Self.encoded(problem)) == problem)
        #expect(problem != Problem())
    }

    @Test(arguments: Problem.tasks) func presetsAreThePapersTasks(task: String) throws {
        let problem = try Problem(task: task).operator(height: 16, width: 24)
        let parts = problem.name.components(separatedBy: ", then ")
        let spatial = [
            "sr4": "average pooling by 4", "deblur": "Gaussian blur 61x61, sigma 3.0, reflect", "inpaint": "mask 24x16",
        ]
        var expected = spatial[task.replacingOccurrences(of: "+", with: "")].map { [$0] } ?? []
        if task.hasSuffix("+") || task == "average" { expected.insert("average of 7 frames, circular", at: 0) }
        #expect(parts == expected)
    }

    @Test func presetsSayWhatTheyAre() throws {
        let words = [
            "sr4": "shrunk by 4", "deblur": "Gaussian blur, sigma 3.0", "inpaint": "50 % of the pixels missing",
            "average": "average over 7 frames", "sr4+": "average over 7 frames, then shrunk by 4",
            "deblur+": "average over 7 frames, then Gaussian blur, sigma 3.0",
            "inpaint+": "average over 7 frames, then 50 % of the pixels missing",
        ]
        #expect(Set(words.keys) == Set(Problem.tasks))
        for (task, expected) in words { #expect(try Problem(task: task).description == expected) }
        #expect("\(Problem())" == "noise alone")
        #expect("\(Problem(Grey(.bt601), Holes(file: "scratches.png")))" == "grey (bt601), then holes (scratches.png)")
        #expect("\(Problem(Holes(ratio: 0.125)))" == "13 % of the pixels missing")
    }

    @Test func unknownNamesAreListed() {
        let error = #expect(throws: ProblemError.unknownTask("sr5", known: Problem.tasks)) { try Problem(task: "sr5") }
        #expect(
            error?.description
                == "There is no task named 'sr5'; choose one of sr4, deblur, inpaint, average, sr4+, deblur+, inpaint+."
        )
        for name in ["", "+", "average+", "sr4++", "SR4"] {
            #expect(throws: ProblemError.self) { try Problem(task: name) }
        }
    }

    // MARK: JSON

    static let stages: [Written] = [
        Written(#"{"stages":[]}"#),
        Written(#"{"stages":[{"average":{"boundary":"circular","frames":7}}]}"#, Average(frames: 7)),
        Written(#"{"stages":[{"average":{"boundary":"valid","frames":3}}]}"#, Average(frames: 3, boundary: .valid)),
        Written(#"{"stages":[{"blur":{"boundary":"reflect","sigma":1.5,"size":61}}]}"#, Blur(sigma: 1.5)),
        Written(
            #"{"stages":[{"blur":{"boundary":"zero","sigma":2,"size":9}}]}"#, Blur(sigma: 2, size: 9, boundary: .zero)),
        Written(#"{"stages":[{"shrink":{"factor":4}}]}"#, Shrink(factor: 4)),
        Written(#"{"stages":[{"grey":{"matrix":"bt601"}}]}"#, Grey(.bt601)),
        Written(#"{"stages":[{"grey":{"matrix":"bt709"}}]}"#, Grey(.bt709)),
        Written(#"{"stages":[{"holes":{"ratio":0.25,"seed":18446744073709551615}}]}"#, Holes(ratio: 0.25, seed: .max)),
        Written(#"{"stages":[{"holes":{"file":"masks/a.png"}}]}"#, Holes(file: "masks/a.png")),
        // Not in the usual order, and one kind twice.
        Written(
            #"{"stages":[{"shrink":{"factor":2}},{"grey":{"matrix":"bt709"}},{"shrink":{"factor":3}},"#
                + #"{"average":{"boundary":"replicate","frames":2}}]}"#,
            Shrink(factor: 2), Grey(.bt709), Shrink(factor: 3), Average(frames: 2, boundary: .replicate)),
    ]

    @Test(arguments: stages) func everyStageSurvivesJSON(written: Written) throws {
        #expect(try Self.encoded(written.problem) == written.json)
        #expect(try Self.decoded(written.json) == written.problem)
        #expect(try Self.decoded(written.json).hashValue == written.problem.hashValue)
        for other in Self.stages where other.json != written.json { #expect(other.problem != written.problem) }
    }

    @Test func everyKindIsWritten() {
        let written = Set(Self.stages.flatMap(\.problem.stages).map { type(of: $0).kind })
        #expect(written == Set(Problem.kinds.map { $0.kind }))
        #expect(Set(Problem.kinds.map { $0.kind }).count == Problem.kinds.count)
    }

    @Test func ordinaryNumbersMayBeLeftOut() throws {
        let text = #"{"stages": [{"average": {"frames": 5}}, {"blur": {"sigma": 2}}, {"holes": {"ratio": 0.5}}]}"#
        #expect(try Self.decoded(text) == Problem(Average(frames: 5), Blur(sigma: 2), Holes(ratio: 0.5)))
    }

    /// What is wrong, and what the sentence must name.
    static let refused: [(json: String, words: [String])] = [
        (#"{"stages": [{"fog": {}}]}"#, ["'fog'", "average, blur, shrink, grey, holes"]),
        (#"{"stages": [{"blur": {"sigmo": 3, "sigma": 3}}]}"#, ["'blur'", "'sigmo'", "sigma, size, boundary"]),
        (#"{"stages": [{"grey": {"matrix": "bt601", "weight": 1}}]}"#, ["'grey'", "'weight'", "matrix"]),
        (#"{"stages": [{"holes": {"file": "a.png", "ration": 1}}]}"#, ["'holes'", "'ration'", "ratio, seed, file"]),
        (#"{"stages": [{"blur": {"sigma": 3}, "shrink": {"factor": 4}}]}"#, ["one name", "has 2 names"]),
        (#"{"stages": [{}]}"#, ["one name", "has 0 names"]),
        (#"{"stages": [{"blur": {"sigma": "three"}}]}"#, ["'blur'", "'sigma'"]),
        (#"{"stages": [{"blur": {"sigma": null}}]}"#, ["'blur'", "'sigma'"]),
        (#"{"stages": [{"blur": {"sigma": 3, "boundary": "mirror"}}]}"#, ["'blur'", "'boundary'"]),
        (#"{"stages": [{"blur": {"sigma": 3, "size": 9.5}}]}"#, ["'blur'", "whole numbers"]),
        (#"{"stages": [{"blur": {}}]}"#, ["'blur'", "'sigma'"]),
        (#"{"stages": [{"average": {"boundary": "valid"}}]}"#, ["'average'", "'frames'"]),
        (#"{"stages": [{"grey": {"matrix": "bt2020"}}]}"#, ["'grey'", "'matrix'"]),
        (#"{"stages": [{"holes": {"seed": -1}}]}"#, ["'holes'", "whole numbers"]),
        (#"{"stages": [{"shrink": 4}]}"#, ["'shrink'", "braces"]),
        (#"{"stages": [{"shrink": null}]}"#, ["'shrink'", "braces"]),
        (#"{"stages": ["shrink"]}"#, ["a list, of names"]),
        (#"{"stages": {"shrink": {"factor": 4}}}"#, ["a list, of names"]),
        (#"{"stages": null}"#, ["a list, of names"]),
        (#"{"stages": [], "scale": 4}"#, ["'scale'", "stages"]),
        (#"{"blurSigmo": 3}"#, ["'blurSigmo'", "blurSigma"]),
    ]

    @Test(arguments: refused.indices) func misspeltPartsAreRefusedInASentence(index: Int) throws {
        let (json, words) = Self.refused[index]
        let error = #expect(throws: ProblemError.self, "\(json)") { try Self.decoded(json) }
        let text = try #require(error).description
        #expect(Self.isSentence(text), "\(text)")
        for word in words { #expect(text.contains(word), "\(json): \(text)") }
    }

    @Test(arguments: [
        "3", "[]", #""sr4""#, "null", #"{"scale": "four"}"#, #"{"averageBoundary": "ajar", "averageWindow": 3}"#,
    ])
    func whatIsNoProblemIsRefused(json: String) {
        #expect(throws: DecodingError.self) { try Self.decoded(json) }
    }

    // MARK: Records of earlier versions

    static let flat: [Written] = [
        Written("{}"),
        Written(#"{"scale": 4}"#, Shrink(factor: 4)),
        Written(#"{"blurSigma": 3}"#, Blur(sigma: 3)),
        Written(#"{"blurSigma": 1, "blurSize": 9}"#, Blur(sigma: 1, size: 9)),
        Written(#"{"blurSigma": 1, "blurBoundary": "circular"}"#, Blur(sigma: 1, boundary: .circular)),
        Written(#"{"maskRatio": 0.5}"#, Holes(ratio: 0.5)),
        Written(#"{"maskRatio": 0.5, "maskSeed": 7}"#, Holes(ratio: 0.5, seed: 7)),
        Written(#"{"maskFile": "mask.png"}"#, Holes(file: "mask.png")),
        // A file went before a random mask.
        Written(#"{"maskFile": "mask.png", "maskRatio": 0.5}"#, Holes(file: "mask.png")),
        Written(#"{"averageWindow": 7}"#, Average(frames: 7)),
        Written(#"{"averageWindow": 3, "averageBoundary": "valid"}"#, Average(frames: 3, boundary: .valid)),
        // As the program wrote `deblur+`: ordinary numbers of what did not happen say nothing.
        Written(
            #"{"averageBoundary": "circular", "averageWindow": 7, "blurBoundary": "reflect", "blurSigma": 3, "#
                + #""blurSize": 61, "maskSeed": 0}"#,
            Average(frames: 7), Blur(sigma: 3)),
        Written(#"{"scale": null, "blurSigma": 2, "maskFile": null}"#, Blur(sigma: 2)),
        Written(
            #"{"maskRatio": 0.25, "scale": 2, "blurSigma": 1.5, "blurSize": 9, "blurBoundary": "zero", "#
                + #""averageWindow": 3, "averageBoundary": "valid", "maskSeed": 18446744073709551615}"#,
            Average(frames: 3, boundary: .valid), Blur(sigma: 1.5, size: 9, boundary: .zero), Shrink(factor: 2),
            Holes(ratio: 0.25, seed: .max)),
    ]

    @Test(arguments: flat) func recordsOfEarlierVersionsAreRead(written: Written) throws {
        #expect(try Self.decoded(written.json) == written.problem)
    }

    @Test func everyPartInItsOrder() throws {
        let text = try #require(Self.flat.last).json
        let problem = try Self.decoded(text)
        let made = try problem.operator(height: 8, width: 12)
        #expect(
            made.name
                == "average of 3 frames, valid, then Gaussian blur 9x9, sigma 1.5, zero, then average pooling by 2, "
                + "then mask 6x4"
        )
        #expect(try made.outputShape(for: [5, 3, 8, 12]) == [3, 3, 4, 6])
        #expect(try problem.fullSize(ofMeasurement: [3, 3, 4, 6]) == [5, 3, 8, 12])
        #expect(try Problem().operator(height: 8, width: 12) is Identity)
    }

    // MARK: Stages

    @Test func stagesAreFoundAndSetByTheirKind() throws {
        var problem = Problem()
        #expect(problem.stage(Blur.self) == nil)
        // Where kinds usually stand, whatever the order in which they are said.
        problem.set(Holes(ratio: 0.5))
        problem.set(Average(frames: 3))
        problem.set(Grey(.bt601))
        problem.set(Blur(sigma: 1))
        problem.set(Shrink(factor: 2))
        #expect(
            problem == Problem(Average(frames: 3), Blur(sigma: 1), Shrink(factor: 2), Grey(.bt601), Holes(ratio: 0.5)))
        problem.set(Blur(sigma: 2))
        #expect(problem.stage(Blur.self) == Blur(sigma: 2) && problem.stages.count == 5)
        problem.set(nil as Shrink?)
        #expect(problem == Problem(Average(frames: 3), Blur(sigma: 2), Grey(.bt601), Holes(ratio: 0.5)))
        problem.set(nil as Shrink?)
        #expect(problem.stages.count == 4)
        // A stage keeps the place that it has, and the first of its kind is meant.
        var other = Problem(Shrink(factor: 2), Average(frames: 3), Shrink(factor: 3))
        #expect(other.stage(Shrink.self) == Shrink(factor: 2))
        other.set(Shrink(factor: 5))
        #expect(other == Problem(Shrink(factor: 5), Average(frames: 3), Shrink(factor: 3)))
        other.set(Blur(sigma: 1))
        #expect(other == Problem(Blur(sigma: 1), Shrink(factor: 5), Average(frames: 3), Shrink(factor: 3)))
        other.set(nil as Shrink?)
        #expect(other == Problem(Blur(sigma: 1), Average(frames: 3)))
    }

    /// What happened first comes first: a blur of small frames is not a blur of large ones.
    @Test func theOrderIsKept() throws {
        let (blurred, shrunk) = (
            Problem(Blur(sigma: 1, size: 5), Shrink(factor: 2)), Problem(Shrink(factor: 2), Blur(sigma: 1, size: 5))
        )
        #expect(blurred != shrunk)
        let x = try random([1, 3, 8, 12], seed: 1)
        let (blur, pooling) = (try GaussianBlur(size: 5, sigma: 1), try AveragePooling(factor: 2))
        let (a, b) = (
            try blurred.operator(height: 8, width: 12).apply(x), try shrunk.operator(height: 8, width: 12).apply(x)
        )
        #expect(try (a - pooling.apply(blur.apply(x))).norm() == 0)
        #expect(try (b - blur.apply(pooling.apply(x))).norm() == 0)
        #expect(try (a - b).norm() > 0.01 * a.norm())
        // A mask of the size that frames have there.
        let early = try Problem(Holes(ratio: 0.5), Shrink(factor: 2)).operator(height: 8, width: 12)
        #expect(early.name == "mask 12x8, then average pooling by 2")
    }

    @Test(arguments: [
        #"{"scale": 0}"#, #"{"scale": 9223372036854775807}"#, #"{"scale": 3}"#, #"{"blurSigma": -1}"#,
        #"{"blurSigma": 1, "blurSize": 4}"#,
        #"{"maskRatio": 1.5}"#, #"{"averageWindow": 0}"#, #"{"averageWindow": 9223372036854775807}"#,
        #"{"maskFile": "mask.png"}"#,
        #"{"stages": [{"holes": {}}]}"#, #"{"stages": [{"holes": {"ratio": 0.5, "file": "mask.png"}}]}"#,
        #"{"stages": [{"grey": {"matrix": "bt601"}}, {"grey": {"matrix": "bt601"}}]}"#,
        #"{"stages": [{"shrink": {"factor": 4}}, {"shrink": {"factor": 8}}]}"#,
    ]) func impossibleOnesAreRefused(text: String) throws {
        let problem = try Self.decoded(text)
        let error = #expect(throws: ProblemError.self) { try problem.operator(height: 16, width: 16) }
        #expect(error?.description.hasSuffix(".") == true)
    }

    @Test func masksAreHandedOver() throws {
        let problem = Problem(Shrink(factor: 2), Holes(file: "mask.png"))
        #expect(problem.files == ["mask.png"])
        let mask = try Mask.random(ratio: 0.5, seed: 1, height: 4, width: 6).mask
        let made = try problem.operator(height: 8, width: 12, files: ["mask.png": mask, "another.png": .ones([1, 1])])
        #expect(try made.outputShape(for: [1, 3, 8, 12]) == [1, 3, 4, 6])
        #expect(try (made.apply(.ones([1, 1, 8, 12])).reshaped([4, 6]) - mask).norm() == 0)
        #expect(throws: ProblemError.maskSize(mask: [4, 6], height: 8, width: 8)) {
            try problem.operator(height: 16, width: 16, files: ["mask.png": mask])
        }
        let error = #expect(throws: ProblemError.self) {
            try problem.operator(height: 8, width: 12, files: ["another.png": mask])
        }
        #expect(error?.description.contains("mask.png") == true)
        // Two files, each at its place.
        let two = Problem(Holes(file: "a.png"), Shrink(factor: 2), Holes(file: "b.png"))
        #expect(two.files == ["a.png", "b.png"])
        _ = try two.operator(height: 8, width: 12, files: ["a.png": .ones([8, 12]), "b.png": mask])
        #expect(Holes(file: "mask.png").located { "folder/" + $0 } == Holes(file: "folder/mask.png"))
        #expect(Holes(ratio: 0.5).located { "folder/" + $0 } == Holes(ratio: 0.5))
    }

    @Test(arguments: Problem.tasks) func fullSizeInvertsOutputShape(task: String) throws {
        let problem = try Problem(task: task)
        let shape = [9, 3, 8, 12]
        let output = try problem.operator(height: 8, width: 12).outputShape(for: shape)
        #expect(try problem.fullSize(ofMeasurement: output) == shape)
    }

    @Test func fullSizeOfGreyFramesHasColours() throws {
        let problem = Problem(Average(frames: 3, boundary: .valid), Shrink(factor: 2), Grey(.bt709))
        let output = try problem.operator(height: 8, width: 12).outputShape(for: [9, 3, 8, 12])
        #expect(output == [7, 1, 4, 6])
        #expect(try problem.fullSize(ofMeasurement: output) == [9, 3, 8, 12])
        #expect(throws: ProblemError.self) { try problem.fullSize(ofMeasurement: [7, 3, 4, 6]) }
        #expect(throws: ProblemError.notAVideo(shape: [3, 4, 6])) { try problem.fullSize(ofMeasurement: [3, 4, 6]) }
    }

    // MARK: Grey in files

    @Test(arguments: Grey.Matrix.allCases) func greyIsStoredInThreeChannels(matrix: Grey.Matrix) throws {
        let problem = Problem(Blur(sigma: 1), Grey(matrix), Holes(ratio: 0.5))
        #expect(problem.channels == 1 && Problem(Blur(sigma: 1)).channels == 3 && Problem().channels == 3)
        let frames = try random([2, 3, 5, 7], seed: 1)
        let reduced = try problem.reduced(frames)
        #expect(reduced.shape == [2, 1, 5, 7])
        let weights = matrix.weights
        #expect(abs(weights.reduce(0, +) - 1) < 1e-12)
        let expected = try zip(0..<3, weights).reduce(Tensor.zeros([2, 1, 5, 7])) { sum, part in
            try sum.adding(frames.narrow(1, from: part.0, count: 1), times: part.1)
        }
        #expect(try (reduced - expected).norm() < 1e-6 * expected.norm())

        let y = try random([2, 1, 5, 7], seed: 2)
        let stored = try problem.stored(y)
        #expect(stored.shape == [2, 3, 5, 7])
        for channel in 0..<3 { #expect(try (stored.narrow(1, from: channel, count: 1) - y).norm() == 0) }
        #expect(try (problem.reduced(stored) - y).norm() < 1e-6 * y.norm())
        #expect(throws: ProblemError.self) { try problem.reduced(y) }
    }

    @Test func coloursAreStoredAsTheyAre() throws {
        let frames = try random([2, 3, 5, 7], seed: 1)
        for task in Problem.tasks {
            let problem = try Problem(task: task)
            #expect(try (problem.reduced(frames) - frames).norm() == 0 && (problem.stored(frames) - frames).norm() == 0)
        }
    }
}
