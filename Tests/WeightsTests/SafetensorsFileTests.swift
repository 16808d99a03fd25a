import Foundation
import TestSupport
import Testing

@testable import Weights

@Suite("Safetensors files")
struct SafetensorsFileTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func violation(_ body: () throws -> Void) -> SafetensorsViolation? {
        do {
            try body()
            return nil
        } catch {
            return (error as? SafetensorsError)?.violation
        }
    }

    @Test func whatIsWrittenIsRead() throws {
        var generator = SeededGenerator(seed: 1)
        for round in 0..<200 {
            let arrays = randomArrays(&generator)
            let metadata = round.isMultiple(of: 3) ? [:] : ["format": "pt", "näme\"\n": "\\ \u{1F642}"]
            let url = scratch.url.appendingPathComponent("\(round).safetensors")
            try SafetensorsWriter.write(arrays, metadata: metadata, to: url)
            let file = try SafetensorsFile(at: url)
            #expect(file.metadata == metadata)
            #expect(file.names == arrays.keys.sorted())
            for (name, array) in arrays {
                let entry = try file.entry(name)
                #expect(entry.dtype == array.dtype)
                #expect(entry.shape == array.shape)
                #expect(entry.elementCount == array.shape.reduce(1, *))
                try file.withUnsafeBytes(of: name) { bytes in
                    #expect(bytes.elementsEqual(array.bytes))
                    #expect(bytes.isEmpty || Int(bitPattern: bytes.baseAddress) % array.dtype.size == 0)
                }
            }
        }
    }

    @Test func equalContentGivesEqualFilesInTheOrderOfAlignment() throws {
        let arrays: [String: SafetensorsWriter.Array] = [
            "b": .init(dtype: .u8, shape: [3], bytes: Data([1, 2, 3])),
            "a": .init(dtype: .u8, shape: [], bytes: Data([9])),
            "z": .init(dtype: .f64, shape: [1], bytes: Data(count: 8)),
            "h": .init(dtype: .bf16, shape: [1], bytes: Data(count: 2)),
        ]
        let first = scratch.url.appendingPathComponent("1")
        let second = scratch.url.appendingPathComponent("2")
        try SafetensorsWriter.write(arrays, metadata: ["b": "1", "a": "2"], to: first)
        try SafetensorsWriter.write(arrays, metadata: ["a": "2", "b": "1"], to: second)
        let bytes = try Data(contentsOf: first)
        #expect(bytes == (try Data(contentsOf: second)))
        #expect(bytes[0] % 8 == 0)
        let entries = try SafetensorsFile(at: first).entries
        #expect(
            entries.sorted { $0.value.range.lowerBound < $1.value.range.lowerBound }.map(\.key) == ["z", "h", "a", "b"])
    }

    @Test func missingTensorIsNamed() throws {
        let url = try scratch.file("a.safetensors", safetensors("{}"))
        let file = try SafetensorsFile(at: url)
        let error = try #require(throws: SafetensorsError.self) { try file.withUnsafeBytes(of: "conv.weight") { _ in } }
        #expect(error.description.contains(url.path))
        #expect(error.description.contains("'conv.weight'"))
    }

    @Test func onlyRegularFilesAreOpened() throws {
        #expect(violation { _ = try SafetensorsFile(at: scratch.url) } == .notARegularFile)
        let missing = violation { _ = try SafetensorsFile(at: scratch.url.appendingPathComponent("none")) }
        #expect(missing == .cannotOpen(reason: "No such file or directory"))
        let pipe = scratch.url.appendingPathComponent("pipe")
        #expect(mkfifo(pipe.path, 0o600) == 0)
        #expect(violation { _ = try SafetensorsFile(at: pipe) } == .notARegularFile)
        #expect(violation { _ = try SafetensorsFile(at: try scratch.file("empty", "")) } == .fileTooShort(size: 0))
    }

    @Test func linksAreFollowed() throws {
        // The hub's cache is made of links to blobs.
        let blob = try scratch.file("blobs/abc", safetensors("{}"))
        let link = scratch.url.appendingPathComponent("model.safetensors")
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: blob)
        #expect(try SafetensorsFile(at: link).entries.isEmpty)
    }

    @Test func existingFilesAreKept() throws {
        let url = try scratch.file("kept", "kept")
        #expect(
            violation { try SafetensorsWriter.write([String: SafetensorsWriter.Array](), to: url) } == .alreadyExists)
        #expect(try String(contentsOf: url, encoding: .utf8) == "kept")
        try SafetensorsWriter.write([String: SafetensorsWriter.Array](), to: url, overwrite: true)
        #expect(try SafetensorsFile(at: url).entries.isEmpty)
    }

    @Test func aFailedWriteLeavesNothing() throws {
        let url = scratch.url.appendingPathComponent("out")
        struct Failure: Error {}
        #expect(throws: SafetensorsError.self) {
            try SafetensorsWriter.write(
                ["a": .init(dtype: .u8, shape: [4])], metadata: [:], to: url, overwrite: false,
                content: { _, sink in
                    try [UInt8](repeating: 1, count: 2).withUnsafeBytes(sink)
                    throw Failure()
                })
        }
        let arrays = ["a": SafetensorsWriter.Array(dtype: .f32, shape: [2], bytes: Data(count: 7))]
        #expect(
            violation { try SafetensorsWriter.write(arrays, to: url) }
                == .wrongByteCount(tensor: "a", expected: 8, found: 7))
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.url.path).isEmpty)
    }

    @Test func whatCannotBeReadIsNotWritten() {
        let url = scratch.url.appendingPathComponent("out")
        let write = { (name: String, shape: [Int]) in
            violation { try SafetensorsWriter.write([name: .init(dtype: .u8, shape: shape, bytes: Data())], to: url) }
        }
        #expect(write("__metadata__", [0]) == .reservedName("__metadata__"))
        #expect(write("a", [-1]) == .badShape(tensor: "a"))
        #expect(write("a", [.max, 2]) == .sizeOverflow(tensor: "a"))
        #expect(write("a", [Int](repeating: 1, count: 65)) == .tooManyDimensions(tensor: "a", limit: 64))
    }

    @Test func theFileOutlivesItsNameAndIsSharedByThreads() async throws {
        let url = scratch.url.appendingPathComponent("a")
        try SafetensorsWriter.write(
            ["a": .init(dtype: .u8, shape: [4096], bytes: Data(repeating: 7, count: 4096))], to: url)
        let file = try SafetensorsFile(at: url)
        try FileManager.default.removeItem(at: url)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 { group.addTask { try file.withUnsafeBytes(of: "a") { $0.allSatisfy { $0 == 7 } } } }
            for try await isRight in group { #expect(isRight) }
        }
    }
}
