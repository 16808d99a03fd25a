import Foundation
import TestSupport
import Testing

@testable import Weights

/// A folder for one test's files, removed with the object.
final class Scratch: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("weights-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    /// Writes `bytes` to the file `name`, making its folders.
    @discardableResult
    func file(_ name: String, _ bytes: [UInt8]) throws -> URL {
        let target = url.appendingPathComponent(name)
        try FileManager.default.createDirectory(
            at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: target)
        return target
    }

    @discardableResult
    func file(_ name: String, _ text: String) throws -> URL { try file(name, Array(text.utf8)) }
}

/// The bytes of a safetensors file with this header, whatever it says; `claims` replaces the true header length.
func safetensors(_ header: [UInt8], data: Int = 0, claims: UInt64? = nil) -> [UInt8] {
    withUnsafeBytes(of: (claims ?? UInt64(header.count)).littleEndian, Array.init) + header
        + [UInt8](repeating: 0, count: data)
}

func safetensors(_ header: String, data: Int = 0, claims: UInt64? = nil) -> [UInt8] {
    safetensors(Array(header.utf8), data: data, claims: claims)
}

/// The header of `bytes` taken as a whole file.
func header(of bytes: [UInt8]) throws(SafetensorsViolation) -> SafetensorsHeader {
    try bytes.withUnsafeBufferPointer { (buffer) throws(SafetensorsViolation) in
        try SafetensorsHeader(file: UnsafeRawBufferPointer(buffer))
    }
}

/// A valid set of arrays with random names, types, shapes (scalars and empty ones too) and bytes.
func randomArrays(_ generator: inout SeededGenerator, upTo count: Int = 6) -> [String: SafetensorsWriter.Array] {
    let alphabet = Array("abc.01_ü\"\\/\n\u{1}日🙂")
    var arrays: [String: SafetensorsWriter.Array] = [:]
    for index in 0..<Int.random(in: 0...count, using: &generator) {
        let name =
            "\(index)"
            + String(
                (0..<Int.random(in: 0...8, using: &generator)).compactMap { _ in
                    alphabet.randomElement(using: &generator)
                })
        let dtype = SafetensorsDType.allCases.randomElement(using: &generator) ?? .f32
        let shape = (0..<Int.random(in: 0...4, using: &generator)).map { _ in Int.random(in: 0...4, using: &generator) }
        let size = shape.reduce(dtype.size, *)
        let bytes = Data((0..<size).map { _ in UInt8.random(in: 0...1, using: &generator) })
        arrays[name] = .init(dtype: dtype, shape: shape, bytes: bytes)
    }
    return arrays
}
