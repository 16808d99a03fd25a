import Foundation
import TensorKit
import Testing
import Weights

/// The reference tensors that were made with Python's diffusers. They lie beside the project and may be absent.
public enum Golden {
    /// `VISIONXL_GOLDEN`, or `../shared/golden` beside the project; nil when there is none.
    public static let folder: URL? = {
        let path = ProcessInfo.processInfo.environment["VISIONXL_GOLDEN"]
            ?? projectRoot.deletingLastPathComponent().appendingPathComponent("shared/golden").path
        return FileManager.default.fileExists(atPath: path) ? URL(fileURLWithPath: path, isDirectory: true) : nil
    }()

    public static var isAvailable: Bool { folder != nil }
    public static let absence: Comment = "the golden tensors are not here; set VISIONXL_GOLDEN to their folder"

    /// A folder that lies beside the golden tensors; nil when there is none.
    public static func neighbour(_ name: String) -> URL? {
        let url = folder?.deletingLastPathComponent().appendingPathComponent(name, isDirectory: true)
        return url.flatMap { FileManager.default.fileExists(atPath: $0.path) ? $0 : nil }
    }

    /// All tensors of `NAME.safetensors`.
    public static func tensors(_ name: String) throws -> [String: Tensor] {
        try SafetensorsFile(at: #require(folder).appendingPathComponent("\(name).safetensors")).tensors()
    }

    public static func model() throws -> URL { try #require(folder).appendingPathComponent("tiny-sdxl") }
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
