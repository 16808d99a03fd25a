import Evaluation
import Foundation
import InverseProblems
import Synchronization
import TensorKit
import VideoIO
import VisionXL

/// A folder for one test, gone with it.
final class Scratch: Sendable {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("evaluation-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(at: folder) }

    func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    /// A folder of pictures: a pattern that moves, or one colour.
    func clip(
        _ name: String, frames: Int = 4, height: Int = 24, width: Int = 32, constant: Double? = nil
    ) async throws -> Clip {
        let writer = try await VideoWriter(
            to: path(name), width: width, height: height, bitDepth: 8, frameRate: .fps25, encoding: .png,
            overwrite: true)
        for index in 0..<frames {
            var values = [Float](repeating: Float(constant ?? 0), count: 3 * height * width)
            if constant == nil {
                for c in 0..<3 {
                    for y in 0..<height {
                        for x in 0..<width {
                            values[(c * height + y) * width + x] = Float(
                                0.8 * sin(Double(x + index) * 0.7 + Double(c)) * cos(Double(y) * 0.5))
                        }
                    }
                }
            }
            try await writer.append(VideoFrame(tensor: Tensor(values, shape: [3, height, width]), bitDepth: 8))
        }
        try await writer.finish()
        return Clip(name: name, path: path(name))
    }
}

/// Restores nothing, or what it is told to; counts its calls.
final class Probe: Restorer {
    private let calls = Mutex(0)
    var count: Int { calls.withLock { $0 } }
    let body: @Sendable (Tensor, any LinearOperator) throws -> Tensor

    init(_ body: @escaping @Sendable (Tensor, any LinearOperator) throws -> Tensor = { y, A in try A.adjoint(y) }) {
        self.body = body
    }

    func restore(_ measurement: VideoMeasurement, progress: @escaping RestorationProgress.Handler) throws -> Restoration
    {
        calls.withLock { $0 += 1 }
        return Restoration(frames: try body(measurement.frames, measurement.operator))
    }

    func contender(_ name: String, settings: String = "") -> Contender {
        Contender(name: name, settings: settings) { self }
    }
}

struct Refusal: Error, CustomStringConvertible {
    var description: String { "this method never works" }
}
