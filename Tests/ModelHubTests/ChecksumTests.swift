import Foundation
import TestSupport
import Testing

@testable import ModelHub

@Suite struct ChecksumTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder("checksum") }

    private func found(_ kind: Checksum, _ text: String) async throws -> String {
        let url = URL(fileURLWithPath: folder.file("a file"))
        try Data(text.utf8).write(to: url)
        return try await kind.found(in: url)
    }

    /// Three of FIPS 180-4's test vectors.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (String(repeating: "a", count: 1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ]) func sha256(text: String, expected: String) async throws {
        #expect(try await found(.sha256(""), text) == expected)
    }

    /// What `git hash-object` says.
    @Test(arguments: [
        ("", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"), ("hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
        ("what is up, doc?", "bd9dbf5aae1a3862dd1526723246b20206e5fc37"),
        (String(repeating: "a", count: 1_000_000), "de1fbf0c2f34f67f01f355f31ed0cf7319643c5e"),
    ]) func gitBlob(text: String, expected: String) async throws {
        #expect(try await found(.gitBlob(""), text) == expected)
    }

    @Test(arguments: [Checksum.sha256(""), .gitBlob("")]) func whatCannotBeRead(kind: Checksum) async throws {
        let missing = URL(fileURLWithPath: folder.file("missing"))
        // A folder can be opened and not be read.
        for url in [missing, URL(fileURLWithPath: folder.path)] {
            let error = try await #require(throws: HubError.self) { _ = try await kind.found(in: url) }
            guard case .file(url.path, _) = error else { return unexpected("\(error)") }
        }
    }

    /// A file of a terabyte, all of it a hole: its hash takes half an hour, a cancelled one no time, and no process stays.
    @Test(
        .enabled(if: procIsThere, needsProc),
        arguments: [Checksum.sha256(""), .gitBlob("")])
    func cancelled(kind: Checksum) async throws {
        let path = folder.file("large")
        try #require(FileManager.default.createFile(atPath: path, contents: nil))
        try #require(truncate(path, 1 << 40) == 0)
        let task = Task { try await kind.found(in: URL(fileURLWithPath: path)) }
        #expect(try await eventually { !readers(of: path).isEmpty })
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        #expect(try await eventually { readers(of: path).isEmpty })
    }

    /// The processes, other than this one, whose standard input is the file.
    private func readers(of path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).filter { name in
            Int32(name) != nil
                && (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(name)/fd/0")) == path
        }
    }
}
