import Foundation
import TensorKit
import Testing

@testable import InverseProblems

/// The tensors of one golden file. Goldens are made beside the project; without them these tests are skipped.
struct GoldenFile {
    private let data: Data
    private let header: [String: Entry]
    private let start: Int

    private struct Entry: Decodable {
        let dtype: String
        let shape: [Int]
        let data_offsets: [Int]
    }

    static let folder: URL = {
        if let named = ProcessInfo.processInfo.environment["VISIONXL_GOLDEN"], !named.isEmpty { return URL(fileURLWithPath: named) }
        // Tests/InverseProblemsTests/GoldenTests.swift
        return URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../shared/golden").standardizedFileURL
    }()

    static let areHere = FileManager.default.fileExists(atPath: folder.appendingPathComponent("operators.safetensors").path)
    static let absence: Comment = "the reference data are not here; set VISIONXL_GOLDEN to their folder"

    init(_ name: String) throws {
        let url = Self.folder.appendingPathComponent(name)
        data = try Data(contentsOf: url, options: .mappedIfSafe)
        let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        start = 8 + length
        header = try JSONDecoder().decode([String: Entry].self, from: data.subdata(in: 8..<start))
    }

    var names: [String] { header.keys.sorted() }

    subscript(_ name: String) -> Tensor {
        get throws {
            let entry = try #require(header[name], "the golden file has no tensor named \(name)")
            #expect(entry.dtype == "F32")
            let bytes = data.subdata(in: start + entry.data_offsets[0]..<start + entry.data_offsets[1])
            let values = bytes.withUnsafeBytes { raw in
                (0..<raw.count / 4).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
            }
            return try Tensor(values, shape: entry.shape)
        }
    }
}

@Suite(.enabled(if: GoldenFile.areHere, GoldenFile.absence)) struct GoldenOperatorTests {
    static let tasks = ["sr4", "deblur", "inpaint", "sr4+", "deblur+", "inpaint+"]

    /// The task with the sizes and the mask of the golden file, whose params are sigma, kernel size and temporal window.
    static func problem(_ task: String, _ golden: GoldenFile) throws -> any LinearOperator {
        let params = try golden["params"].array(of: Double.self)
        let video = try golden["video"]
        var problem = try Problem(task: task)
        if problem.stage(Blur.self) != nil { problem.set(Blur(sigma: params[0], size: Int(params[1]))) }
        if problem.stage(Average.self) != nil { problem.set(Average(frames: Int(params[2]))) }
        var files: [String: Tensor] = [:]
        if problem.stage(Holes.self) != nil {
            problem.set(Holes(file: "mask"))
            files["mask"] = try golden["mask"]
        }
        if let scale = problem.stage(Shrink.self)?.factor, let pooled = try? golden["\(task).forward"] {
            #expect(pooled.size(2) * scale == video.size(2))
        }
        return try problem.operator(height: video.size(2), width: video.size(3), files: files)
    }

    @Test(arguments: tasks) func forwardAndAdjoint(task: String) throws {
        let golden = try GoldenFile("operators.safetensors")
        let problem = try Self.problem(task, golden)
        let forward = try relativeDistance(problem.apply(golden["video"]), golden["\(task).forward"])
        let spatial = task.replacingOccurrences(of: "+", with: "")
        let adjoint = try relativeDistance(problem.adjoint(golden["\(spatial).adjoint_in"]), golden["\(task).adjoint"])
        #expect(forward < 1e-5)
        #expect(adjoint < 1e-5)
    }

    @Test func lowPass() throws {
        let golden = try GoldenFile("operators.safetensors")
        let names = golden.names.filter { $0.hasPrefix("lowpass.") }
        #expect(!names.isEmpty)
        for name in names {
            let sigma = try #require(Double(name.dropFirst("lowpass.".count)))
            let result = try GaussianBlur.lowPass(sigma: sigma, taps: 15).apply(golden["video"])
            #expect(try relativeDistance(result, golden[name]) < 1e-5)
        }
    }

    /// Ten steps on the normal equations with the true adjoint.
    @Test(arguments: ["sr4+", "deblur+", "inpaint"]) func dataConsistency(task: String) throws {
        let golden = try GoldenFile("pipeline-\(task).safetensors")
        let operators = try GoldenFile("operators.safetensors")
        let problem = try Self.problem(task, operators)
        let measurement = try golden["measurement"]
        let steps = golden.names.count { $0.hasSuffix(".consistent") }
        #expect(steps > 0)
        for step in 0..<steps {
            let (x, _) = try conjugateGradients(problem, measurement: measurement, start: golden["step\(step).denoised"])
            #expect(try relativeDistance(x, golden["step\(step).consistent"]) < 1e-3)
        }
    }
}
