import Foundation
import TensorKit
import Testing
import Weights

/// A set of reference tensors of Python's diffusers and PyTorch; Benchmarks/reference/golden.py says what is in it.
public struct Golden: Sendable, CustomTestStringConvertible {
    public let folder: URL
    public var testDescription: String { folder.path }

    /// The repository's own set, and beside it the one that `VISIONXL_GOLDEN` names, or else `../shared/golden` where
    /// that is. A set that was named and is not there fails its tests.
    public static let sets: [Golden] = {
        let named = ProcessInfo.processInfo.environment["VISIONXL_GOLDEN"] ?? ""
        let other = named.isEmpty ? sharedFolder("golden") : URL(fileURLWithPath: named, isDirectory: true)
        let own = projectRoot.appendingPathComponent("Tests/Golden", isDirectory: true)
        return [own, other].compactMap { $0 }.map(Golden.init)
    }()

    /// All tensors of `NAME.safetensors`.
    public func tensors(_ name: String) throws -> [String: Tensor] {
        try SafetensorsFile(at: folder.appendingPathComponent("\(name).safetensors")).tensors()
    }

    /// The degradations that all tasks of the set were made with.
    public func operators() throws -> GoldenOperators { try GoldenOperators(tensors("operators")) }

    /// A model of SDXL's shape in diffusers' layout.
    public var model: URL { folder.appendingPathComponent("tiny-sdxl") }

    /// The tasks that have a run of Algorithm 1, `pipeline-TASK`.
    public var pipelines: [String] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.filter { $0.hasPrefix("pipeline-") && $0.hasSuffix(".safetensors") }
            .map { String($0.dropFirst("pipeline-".count).dropLast(".safetensors".count)) }.sorted()
    }
}

/// What `operators.safetensors` of a golden set holds.
public struct GoldenOperators {
    /// How many frames the tasks with a + average.
    public let window: Int
    public let blurSize: Int
    public let blurSigma: Double
    /// (H, W), 1 known and 0 missing.
    public let mask: Tensor
    /// All tensors of the file.
    public let tensors: [String: Tensor]

    init(_ tensors: [String: Tensor]) throws {
        let parameters: [Double] = try tensors.require("params").array()
        try #require(parameters.count == 3, "params are (temporal window, kernel size, sigma)")
        (window, blurSize, blurSigma) = (Int(parameters[0]), Int(parameters[1]), parameters[2])
        mask = try tensors.require("mask")
        self.tensors = tensors
    }
}

/// A folder of `../shared`, beside the project; nil where it is not.
public func sharedFolder(_ name: String) -> URL? {
    let url = projectRoot.deletingLastPathComponent().appendingPathComponent("shared/\(name)", isDirectory: true)
    return FileManager.default.fileExists(atPath: url.path) ? url : nil
}

/// The package's root folder.
public let projectRoot = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// |a - b| / |b| in the Euclidean norm.
public func relativeError(_ a: Tensor, _ b: Tensor) throws -> Double {
    let b = try b.to(.float64).to(.cpu)
    let difference = try (a.to(.float64).to(.cpu) - b).norm()
    let size = try b.norm()
    return size == 0 ? difference : difference / size
}

extension Dictionary where Key == String, Value == Tensor {
    /// The tensor of that name, or a failed requirement.
    public func require(_ name: String) throws -> Tensor { try #require(self[name], "the file has no tensor \(name)") }
}
