import Foundation
import TestSupport
import Testing

@testable import ModelHub

@Suite struct ChecksumTests {
    private func hash(_ kind: Checksum, _ bytes: [UInt8], pieces: Int) -> String {
        var stream = kind.stream(count: bytes.count)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            bytes[start..<min(start + pieces, bytes.count)].withUnsafeBytes { stream.update($0) }
        }
        return stream.hexadecimal
    }

    /// The examples of FIPS 180-4's test vectors, and a million letters a.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (String(repeating: "a", count: 1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ]) func sha256(text: String, expected: String) {
        #expect(hash(.sha256(""), Array(text.utf8), pieces: 4096) == expected)
    }

    /// What `git hash-object` says.
    @Test(arguments: [
        ("", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"), ("hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
        ("what is up, doc?", "bd9dbf5aae1a3862dd1526723246b20206e5fc37"),
    ]) func gitBlob(text: String, expected: String) {
        #expect(hash(.gitBlob(""), Array(text.utf8), pieces: 5) == expected)
    }

    /// However the bytes are cut, and at every length around a block's end.
    @Test(arguments: [Checksum.sha256(""), .gitBlob("")]) func cuttingDoesNotMatter(kind: Checksum) {
        let bytes = (0..<200).map { UInt8(truncatingIfNeeded: $0 * 37 + 11) }
        for count in [0, 1, 54, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129, 200] {
            let whole = hash(kind, Array(bytes[..<count]), pieces: 1000)
            for pieces in [1, 3, 63, 64, 65] { #expect(hash(kind, Array(bytes[..<count]), pieces: pieces) == whole) }
        }
    }

    /// The same as the system's own tool, where there is one.
    @Test(.enabled(if: program("sha256sum") != nil, "there is no program sha256sum")) func asTheSystemHasIt() async throws {
        let folder = try TemporaryFolder("checksum")
        let bytes = (0..<100_003).map { UInt8(truncatingIfNeeded: ($0 &* $0) >> 3) }
        try Data(bytes).write(to: URL(fileURLWithPath: folder.file("bytes")))
        #expect(try await output(of: "sha256sum", [folder.file("bytes")]).hasPrefix(hash(.sha256(""), bytes, pieces: 999)))
    }
}
