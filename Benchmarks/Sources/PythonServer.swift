import Foundation
import TensorKit

/// Benchmarks/reference/networks.py as a process that does one timed piece of work whenever it is asked to, so that both sides
/// take turns within one run.
final class PythonServer {
    /// Versions of torch and diffusers, and threads.
    private(set) var description = ""
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var received = Data()

    /// Why there is none.
    static let absence = "no python with diffusers"

    /// Starts `VISIONXL_PYTHON`, or python3; nil where that has no torch and diffusers.
    init?(device: Device, threads: Int) {
        let python = ProcessInfo.processInfo.environment["VISIONXL_PYTHON"] ?? "python3"
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            python, "-u", "Benchmarks/reference/networks.py", "--device", "\(device)", "--threads", "\(threads)",
        ]
        process.environment = UserEnvironment.forOthers
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        signal(SIGPIPE, SIG_IGN)
        do {
            try process.run()
            let hello = try answer()
            description = hello["description"] as? String ?? ""
        } catch {
            return nil
        }
    }

    deinit {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// Sends a request and waits for its answer.
    /// - Throws: `BenchmarkError` with Python's message.
    @discardableResult
    func ask(_ request: [String: Any]) throws -> [String: Any] {
        let line = try JSONSerialization.data(withJSONObject: request) + Data("\n".utf8)
        try input.fileHandleForWriting.write(contentsOf: line)
        return try answer()
    }

    /// Does a piece of work and returns the seconds that Python measured.
    func time(_ request: [String: Any]) throws -> Double {
        guard let seconds = try ask(request)["seconds"] as? Double else {
            throw BenchmarkError.message("The Python side gave no time.")
        }
        return seconds
    }

    private func answer() throws -> [String: Any] {
        while !received.contains(UInt8(ascii: "\n")) {
            let chunk = output.fileHandleForReading.availableData
            guard !chunk.isEmpty else { throw BenchmarkError.message("The Python side ended.") }
            received += chunk
        }
        let line = received.prefix { $0 != UInt8(ascii: "\n") }
        received = Data(received.dropFirst(line.count + 1))
        guard let answer = try JSONSerialization.jsonObject(with: line) as? [String: Any] else {
            throw BenchmarkError.message("The Python side answered nonsense.")
        }
        if let error = answer["error"] as? String { throw BenchmarkError.message("The Python side failed: \(error)") }
        return answer
    }
}

/// A folder for tensors that go between the two sides, removed at the end.
final class Exchange {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("visionxl-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    /// Writes raw float32; what Python needs to read it again.
    func write(_ tensor: Tensor, as name: String) throws -> [String: Any] {
        let values: [Float] = try tensor.array()
        try values.withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: path(name))) }
        return ["path": path(name), "shape": tensor.shape]
    }

    /// Reads raw float32.
    func read(_ name: String, shape: [Int]) throws -> Tensor {
        let data = try Data(contentsOf: URL(fileURLWithPath: path(name)))
        guard data.count == 4 * shape.reduce(1, *) else {
            throw BenchmarkError.message("The Python side's result is not of the shape \(shape).")
        }
        let values = [Float](unsafeUninitializedCapacity: data.count / 4) { buffer, count in
            count = data.copyBytes(to: buffer) / 4
        }
        return try Tensor(values, shape: shape)
    }
}

/// |a - b| / |b| in the Euclidean norm.
func relativeDifference(_ a: Tensor, _ b: Tensor) throws -> Double {
    let b = try b.to(.float64).to(.cpu)
    return try (a.to(.float64).to(.cpu) - b).norm() / b.norm()
}
