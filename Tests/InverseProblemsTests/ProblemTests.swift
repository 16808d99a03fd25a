import Foundation
import InverseProblems
import TensorKit
import Testing

@Suite struct DegradationTests {
    @Test(arguments: Problem.tasks) func presetsSurviveJSON(task: String) throws {
        let degradation = try Problem(task: task)
        let data = try JSONEncoder().encode(degradation)
        #expect(try JSONDecoder().decode(Problem.self, from: data) == degradation)
        #expect(degradation != Problem())
    }

    @Test(arguments: Problem.tasks) func presetsAreThePapersTasks(task: String) throws {
        let problem = try Problem(task: task).operator(height: 16, width: 24)
        let parts = problem.name.components(separatedBy: ", then ")
        let spatial = ["sr4": "average pooling by 4", "deblur": "Gaussian blur 61x61, sigma 3.0, reflect", "inpaint": "mask 24x16"]
        var expected = spatial[task.replacingOccurrences(of: "+", with: "")].map { [$0] } ?? []
        if task.hasSuffix("+") || task == "average" { expected.insert("average of 7 frames, circular", at: 0) }
        #expect(parts == expected)
    }

    @Test func everyPartInItsOrder() throws {
        let text = """
            {"maskRatio": 0.25, "scale": 2, "blurSigma": 1.5, "blurSize": 9, "blurBoundary": "zero", "averageWindow": 3,
             "averageBoundary": "valid", "maskSeed": 18446744073709551615}
            """
        let degradation = try JSONDecoder().decode(Problem.self, from: Data(text.utf8))
        let problem = try degradation.operator(height: 8, width: 12)
        #expect(
            problem.name
                == "average of 3 frames, valid, then Gaussian blur 9x9, sigma 1.5, zero, then average pooling by 2, then mask 6x4")
        #expect(try problem.outputShape(for: [5, 3, 8, 12]) == [3, 3, 4, 6])
        #expect(try degradation.fullSize(ofMeasurement: [3, 3, 4, 6]) == [5, 3, 8, 12])
        #expect(try Problem().operator(height: 8, width: 12) is Identity)
    }

    @Test func unknownNamesAreListed() {
        let error = #expect(throws: ProblemError.unknownTask("sr5", known: Problem.tasks)) { try Problem(task: "sr5") }
        #expect(error?.description == "There is no task named 'sr5'; choose one of sr4, deblur, inpaint, average, sr4+, deblur+, inpaint+.")
        for name in ["", "+", "average+", "sr4++", "SR4"] { #expect(throws: ProblemError.self) { try Problem(task: name) } }
    }

    @Test func misspeltPartsAreRefused() {
        let error = #expect(throws: ProblemError.self) {
            try JSONDecoder().decode(Problem.self, from: Data(#"{"blurSigmo": 3}"#.utf8))
        }
        #expect(error?.description.contains("'blurSigmo'") == true)
    }

    @Test(arguments: [
        #"{"scale": 0}"#, #"{"scale": 9223372036854775807}"#, #"{"scale": 3}"#, #"{"blurSigma": -1}"#, #"{"blurSigma": 1, "blurSize": 4}"#,
        #"{"maskRatio": 1.5}"#, #"{"averageWindow": 0}"#, #"{"averageWindow": 9223372036854775807}"#, #"{"maskFile": "mask.png"}"#,
    ]) func impossibleOnesAreRefused(text: String) throws {
        let degradation = try JSONDecoder().decode(Problem.self, from: Data(text.utf8))
        let error = #expect(throws: ProblemError.self) { try degradation.operator(height: 16, width: 16) }
        #expect(error?.description.hasSuffix(".") == true)
    }

    @Test func masksAreHandedOver() throws {
        var degradation = Problem()
        degradation.maskFile = "mask.png"
        degradation.scale = 2
        let mask = try Mask.random(ratio: 0.5, seed: 1, height: 4, width: 6).mask
        let problem = try degradation.operator(height: 8, width: 12, mask: mask)
        #expect(try problem.outputShape(for: [1, 3, 8, 12]) == [1, 3, 4, 6])
        #expect(throws: ProblemError.maskSize(mask: [4, 6], height: 8, width: 8)) {
            try degradation.operator(height: 16, width: 16, mask: mask)
        }
    }

    @Test(arguments: Problem.tasks) func fullSizeInvertsOutputShape(task: String) throws {
        let degradation = try Problem(task: task)
        let shape = [9, 3, 8, 12]
        let output = try degradation.operator(height: 8, width: 12).outputShape(for: shape)
        #expect(try degradation.fullSize(ofMeasurement: output) == shape)
    }
}
