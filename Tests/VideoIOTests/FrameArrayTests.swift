import Foundation
import TestSupport
import Testing

@testable import VideoIO

/// Frames as numbers.
@Suite struct FrameArrayTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder("array") }

    private func frames(_ count: Int) throws -> [VideoFrame] {
        try (0..<count).map { n in
            // Beyond [-1, 1], too: nothing is clamped.
            try VideoFrame(
                width: 5, height: 3, pixels: .float((0..<45).map { Float($0 - 20) / 17 + Float(n) * 1e-6 }))
        }
    }

    @Test(arguments: ["a.npy", "a.safetensors"]) func everyBitComesBack(name: String) async throws {
        let frames = try frames(4)
        try await write(frames, to: folder.file(name))
        let reader = try await VideoReader(folder.file(name), countFrames: true)
        #expect(reader.info.frameCount == 4 && reader.info.width == 5 && reader.info.height == 3)
        #expect(reader.info.isLossless && reader.info.bitDepth == 32)
        #expect(try await allFrames(reader.frames()) == frames)
        #expect(try await allFrames(reader.frames(1..<3)) == Array(frames[1..<3]))
        // By way of tensors, as a restoration has them.
        let batch = try VideoFrame.frames(of: .init(frames: frames), bitDepth: 32)
        #expect(batch == frames)
        let error = await videoError {
            try await write([patternFrame(width: 5, height: 3, bitDepth: 8)], to: folder.file("b.npy"))
        }
        #expect(error != nil && !FileManager.default.fileExists(atPath: folder.file("b.npy")))
    }

    /// No picture has such a number, and what counts with it would fail far from here.
    @Test(arguments: ["a.npy", "a.safetensors"], [Float.nan, -.infinity]) func whatIsNoNumberIsRefused(
        name: String, value: Float
    ) async throws {
        var values = (0..<45).map { Float($0) / 45 }
        values[17] = value
        let frame = try VideoFrame(width: 5, height: 3, pixels: .float(values))
        try await write(try frames(1) + [frame], to: folder.file(name))
        let reader = try await VideoReader(folder.file(name))
        let error = await videoError { _ = try await allFrames(reader.frames()) }
        #expect("\(try #require(error))".contains("frame 1 has numbers that are none"))
        #expect(await videoError { _ = try await reader.scanned() } == error)
    }

    /// numpy reads what is written, and what it writes is read.
    @Test(.enabled(if: program("python3") != nil, "there is no python3")) func numpyAgrees() async throws {
        guard try await output(of: "python3", ["-c", "import numpy; print(1)"]).hasPrefix("1") else {
            try Test.cancel("python3 has no numpy")
        }
        try await write(frames(2), to: folder.file("a.npy"))
        let script = """
            import numpy, sys
            a = numpy.load(sys.argv[1])
            print(a.dtype, a.shape, repr(float(a[1, 2, 1, 3])))
            numpy.save(sys.argv[2], numpy.arange(2 * 3 * 4 * 6, dtype=numpy.float32).reshape(2, 3, 4, 6))
            """
        let said = try await output(of: "python3", ["-c", script, folder.file("a.npy"), folder.file("b.npy")])
        // Row 1, column 3, blue.
        let expected: Float = Float(6) / 17 + Float(1e-6)
        #expect(said.hasPrefix("float32 (2, 3, 3, 5) \(Double(expected))"), "\(said)")
        let frames = try await allFrames(VideoReader(folder.file("b.npy")).frames())
        #expect(frames.count == 2)
        // Column 4 of row 2 of frame 1, green.
        guard case .float(let values) = frames[1].pixels else { throw VideoError.badFrame("not float") }
        let (place, expected2): (Int, Float) = (49, 112)
        #expect(values[place] == expected2)
    }

    @Test func whatIsNoSuchFileIsSaid() async throws {
        func header(_ text: String) -> Data {
            var bytes: [UInt8] = [0x93]
            bytes += Array("NUMPY".utf8)
            bytes += [1, 0, UInt8(text.utf8.count), 0]
            return Data(bytes + Array(text.utf8))
        }
        func array(_ type: String, _ shape: String, fortran: String = "False") -> Data {
            header("{'descr': '\(type)', 'fortran_order': \(fortran), 'shape': (\(shape)), }")
        }
        var cases: [(data: Data, word: String)] = []
        cases.append((Data(), "no array"))
        cases.append((Data("NUMPY".utf8), "no array"))
        cases.append((header("{'descr': '<f4'}"), "no array"))
        cases.append((array("<f8", "1, 3, 1, 1"), "<f8"))
        cases.append((array("<f4", "1, 3, 1, 1", fortran: "True"), "rows"))
        cases.append((array("<f4", "1, 3, 1, 1"), "not as long"))
        cases.append((array("<f4", "3,") + Data(count: 12), "shape"))
        cases.append((array("<f4", "9223372036854775807, 3, 9, 9"), "no array"))
        for (data, word) in cases {
            try data.write(to: URL(fileURLWithPath: folder.file("x.npy")))
            let error = await videoError { _ = try await VideoReader(folder.file("x.npy")) }
            #expect("\(error as Any)".contains(word), "\(word): \(error as Any)")
        }
    }
}
