import Crypto
import Foundation

/// What a file's bytes must come to.
public enum Checksum: Sendable, Hashable {
    /// Of a file in the hub's large-file store.
    case sha256(String)
    /// Of a file that git itself keeps: SHA-1 over `blob SIZE\0` and the bytes. It keeps out damage, not malice.
    case gitBlob(String)

    /// The checksum in lower-case hexadecimal.
    var hexadecimal: String {
        switch self {
        case .sha256(let text), .gitBlob(let text): text
        }
    }

    /// The checksum of this kind of `count` bytes, ready to take them.
    func stream(count: Int) -> any HashFunction {
        switch self {
        case .sha256: return SHA256()
        case .gitBlob:
            var hash = Insecure.SHA1()
            hash.update(data: Data("blob \(count)\0".utf8))
            return hash
        }
    }
}

extension HashFunction {
    /// The hash of all that was given, in lower-case hexadecimal. More can be given afterwards.
    var hexadecimal: String {
        finalize().map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 2 ? digits : "0" + digits
        }.joined()
    }
}
