import Foundation
import TestSupport
import Testing

@testable import Weights

/// The library that defines the format, reading ours and judging what we refuse.
@Suite(
    "Safetensors against Python's",
    .enabled(if: Python.hasSafetensors, "No python3 with safetensors; set VISIONXL_PYTHON to one"))
struct PythonSafetensorsTests {
    @Test func pythonReadsWhatIsWritten() throws {
        let scratch = try Scratch()
        var generator = SeededGenerator(seed: 2)
        var expected: [String] = []
        for index in 0..<40 {
            let arrays = randomArrays(&generator)
            try SafetensorsWriter.write(
                arrays, metadata: ["format": "pt"], to: scratch.url.appendingPathComponent("\(index)"))
            for (name, array) in arrays {
                let hex = { (bytes: [UInt8]) in bytes.map { String($0, radix: 16) }.joined(separator: ".") }
                expected.append(
                    "\(index) \(hex(Array(name.utf8))) \(array.dtype.rawValue) \(array.shape.map(String.init).joined(separator: ",")) \(hex(Array(array.bytes)))"
                )
            }
        }
        let output = try Python.run(
            """
            import sys
            from safetensors import deserialize
            for index in range(40):
                for name, tensor in deserialize(open(f"{sys.argv[1]}/{index}", "rb").read()):
                    print(index, ".".join(f"{b:x}" for b in name.encode()), tensor["dtype"], ",".join(map(str, tensor["shape"])),
                        ".".join(f"{b:x}" for b in bytes(tensor["data"])))
            """, scratch.url.path)
        #expect(Set(output.split(separator: "\n").map(String.init)) == Set(expected))
    }

    /// What is accepted here is accepted there: this reader may only be the stricter of the two.
    @Test func pythonAcceptsWhatIsAccepted() throws {
        let scratch = try Scratch()
        var generator = SeededGenerator(seed: 3)
        var accepted: Set<String> = []
        let seeds = try (0..<40).map { index in
            let url = scratch.url.appendingPathComponent("seed\(index)")
            try SafetensorsWriter.write(randomArrays(&generator, upTo: 3), to: url)
            return Array(try Data(contentsOf: url))
        }
        for index in 0..<2000 {
            var bytes = seeds[index % seeds.count]
            // One byte of the header for another that JSON knows.
            let end = 8 + Int(bytes[0]) + 256 * Int(bytes[1])
            bytes[Int.random(in: 8..<end, using: &generator)] =
                Array("{}[]\":,\\ 0123456789-FUe".utf8).randomElement(using: &generator) ?? 0
            try Data(bytes).write(to: scratch.url.appendingPathComponent("\(index)"))
            if (try? header(of: bytes)) != nil { accepted.insert("\(index)") }
        }
        let output = try Python.run(
            """
            import sys
            from safetensors import deserialize
            for index in range(2000):
                try:
                    deserialize(open(f"{sys.argv[1]}/{index}", "rb").read())
                    print(index)
                except Exception:
                    pass
            """, scratch.url.path)
        let acceptedThere = Set(output.split(separator: "\n").map(String.init))
        #expect(accepted.subtracting(acceptedThere).isEmpty)
        #expect(accepted.count > 100)
    }
}

/// The `python3` on PATH, or the one that VISIONXL_PYTHON names.
enum Python {
    static let hasSafetensors = (try? run("import safetensors; print(1)")) == "1\n"

    /// Runs `program` with `arguments` and returns what it prints.
    static func run(_ program: String, _ arguments: String...) throws -> String {
        let named = ProcessInfo.processInfo.environment["VISIONXL_PYTHON"] ?? "python3"
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [named, "-c", program] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return process.terminationStatus == 0 ? String(decoding: data, as: UTF8.self) : ""
    }
}
