import Foundation
import TensorKit
import Testing

@testable import Weights

@Suite("Safetensors and tensors", .needsEngine)
struct TensorBridgeTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test func tensorsRoundTrip() throws {
        let tensors: [String: Tensor] = [
            "float": try Tensor([1.5, -2, .infinity, 0] as [Float], shape: [2, 2]),
            "double": try Tensor([0.1] as [Double], shape: []),
            "int": try Tensor([.min, .max] as [Int64], shape: [2, 1]),
            "bool": try Tensor([true, false, true], shape: [3]),
            "empty": try Tensor([] as [Float], shape: [0, 3]), "byte": try Tensor([7] as [UInt8], shape: [1]),
            "half": try Tensor([0.5, 3] as [Float], shape: [2]).to(.float16),
            "brain": try Tensor([0.5] as [Float], shape: [1]).to(.bfloat16),
            // Not in row-major order in memory, but so in the file.
            "turned": try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3]).transposed(0, 1),
        ]
        let url = scratch.url.appendingPathComponent("a.safetensors")
        try SafetensorsWriter.write(tensors, metadata: ["format": "pt"], to: url)
        let file = try SafetensorsFile(at: url)
        let read = try file.tensors()
        #expect(Set(read.keys) == Set(tensors.keys))
        for (name, tensor) in tensors {
            #expect(read[name]?.shape == tensor.shape, "\(name)")
            #expect(read[name]?.dtype == tensor.dtype, "\(name)")
            #expect(try read[name]?.array(of: Double.self) == tensor.array(of: Double.self), "\(name)")
        }
        #expect(try read["turned"]?.array(of: Float.self) == [1, 4, 2, 5, 3, 6])
    }

    @Test func tensorsOutliveTheirFile() throws {
        let url = scratch.url.appendingPathComponent("a.safetensors")
        let values = (0..<100_000).map(Float.init)
        try SafetensorsWriter.write(["a": try Tensor(values, shape: [100_000])], to: url)
        var tensor: Tensor?
        do { tensor = try SafetensorsFile(at: url).tensor("a") }
        try FileManager.default.removeItem(at: url)
        #expect(try tensor?.array(of: Float.self) == values)
    }

    @Test func aTensorMaySaveOverItsOwnFile() throws {
        let url = scratch.url.appendingPathComponent("a.safetensors")
        try SafetensorsWriter.write(["a": try Tensor([1, 2] as [Float], shape: [2])], to: url)
        let mapped = try SafetensorsFile(at: url).tensors()
        try SafetensorsWriter.write(mapped, to: url, overwrite: true)
        #expect(try SafetensorsFile(at: url).tensor("a").array(of: Float.self) == [1, 2])
        #expect(try mapped["a"]?.array(of: Float.self) == [1, 2])
    }

    @Test func unalignedTensorsAreCopied() throws {
        // The header's length leaves the data at an odd address.
        var text = "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}"
        if text.utf8.count.isMultiple(of: 2) { text += " " }
        let bytes = withUnsafeBytes(of: (1.5 as Float, -2 as Float), Array.init)
        let url = try scratch.file("a.safetensors", safetensors(text) + bytes)
        #expect(try SafetensorsFile(at: url).tensor("t").array(of: Float.self) == [1.5, -2])
    }

    @Test func typesThatCannotBeComputedWith() throws {
        let url = scratch.url.appendingPathComponent("a.safetensors")
        try SafetensorsWriter.write(["t": .init(dtype: .f8e4m3, shape: [1], bytes: Data([0]))], to: url)
        let file = try SafetensorsFile(at: url)
        #expect(throws: SafetensorsError(path: url.path, violation: .unsupportedDType(tensor: "t", dtype: "F8_E4M3"))) {
            try file.tensor("t")
        }
        #expect(throws: SafetensorsError(path: url.path, violation: .noSuchTensor("u"))) { try file.tensor("u") }
    }

    @Test func truthValuesAreZeroOrOne() throws {
        let url = scratch.url.appendingPathComponent("a.safetensors")
        try SafetensorsWriter.write(["t": .init(dtype: .bool, shape: [2], bytes: Data([1, 2]))], to: url)
        #expect(throws: SafetensorsError(path: url.path, violation: .badTruthValue(tensor: "t"))) {
            try SafetensorsFile(at: url).tensor("t")
        }
    }
}
