import Foundation
import Testing

@testable import ModelHub

@Suite struct ChecksumTests {
    private func hash(_ kind: Checksum, _ bytes: [UInt8], pieces: Int) -> String {
        var stream = kind.stream(count: bytes.count)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            bytes[start..<min(start + pieces, bytes.count)].withUnsafeBytes { stream.update(bufferPointer: $0) }
        }
        return stream.hexadecimal
    }

    /// Two of FIPS 180-4's test vectors.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ]) func sha256(text: String, expected: String) {
        #expect(hash(.sha256(""), Array(text.utf8), pieces: 2) == expected)
    }

    /// What `git hash-object` says.
    @Test(arguments: [
        ("", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"), ("hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
        ("what is up, doc?", "bd9dbf5aae1a3862dd1526723246b20206e5fc37"),
    ]) func gitBlob(text: String, expected: String) {
        #expect(hash(.gitBlob(""), Array(text.utf8), pieces: 5) == expected)
    }
}
