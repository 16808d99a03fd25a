import Foundation
import TestSupport
import Testing

/// What no compiler holds: which rooms the algorithm knows, and how much a reader has to read at once.
@Suite struct RoomTests {
    struct File {
        let name: String
        let lines: [String]

        /// Lines that are neither blank nor a comment.
        var code: [String] {
            lines.map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty && !$0.hasPrefix("//") }
        }

        /// The modules that are imported, whatever stands before `import` and after the module's name.
        var imports: Set<String> {
            Set(
                code.compactMap { line in
                    let words = line.split { $0 == " " || $0 == "." }.map(String.init)
                    guard let place = words.firstIndex(of: "import"), place + 1 < words.count else { return nil }
                    return words[..<place].allSatisfy {
                        $0.hasPrefix("@") || ["public", "package", "internal", "private", "fileprivate"].contains($0)
                    }
                        ? words[place + 1] : nil
                })
        }
    }

    /// The Swift files of a target, with those in its folders.
    static func files(_ target: String) throws -> [File] {
        let folder = projectRoot.appendingPathComponent("Sources/\(target)")
        let names = try #require(FileManager.default.enumerator(atPath: folder.path)).compactMap { $0 as? String }
            .filter { $0.hasSuffix(".swift") }
        try #require(!names.isEmpty, "\(target) has no files")
        return try names.sorted().map { name in
            var lines = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8).components(
                separatedBy: "\n")
            if lines.last == "" { lines.removeLast() }
            return File(name: "\(target)/\(name)", lines: lines)
        }
    }

    @Test func theAlgorithmKnowsNoModelAndNoFile() throws {
        let allowed: Set = ["Diffusion", "InverseProblems", "TensorKit", "Foundation"]
        let files = try Self.files("VisionXL")
        for file in files { #expect(file.imports.isSubset(of: allowed), "\(file.name)") }
        // The reader of imports sees some.
        #expect(files.reduce(into: Set()) { $0.formUnion($1.imports) } == allowed)
    }

    /// What a library says is true for whoever calls it.
    @Test func theRoomOfFilesNamesNoOptionOfTheProgram() throws {
        for file in try Self.files("VideoIO") {
            let named = file.code.filter { $0.firstRange(of: /--[a-z]/) != nil }
            #expect(named.isEmpty, "\(file.name)")
        }
    }

    @Test(arguments: ["VisionXL", "Workflow", "VisionXLCommand"]) func noFileIsLong(target: String) throws {
        for file in try Self.files(target) { #expect(file.lines.count <= 300, "\(file.name)") }
    }

    /// Algorithm 1 reads as the paper's listing.
    @Test func algorithm1IsShort() throws {
        let file = try #require(try Self.files("VisionXL").first { $0.name.hasSuffix("/Algorithm1.swift") })
        #expect(file.code.count <= 90)
        #expect(file.code.count > 40, "the listing is elsewhere")
    }
}
