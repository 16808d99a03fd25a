import Foundation

/// What a file's bytes must come to.
public enum Checksum: Sendable, Hashable {
    /// Of a file in the hub's large-file store.
    case sha256(String)
    /// Of a file that git itself keeps: SHA-1 over `blob SIZE\0` and the bytes.
    case gitBlob(String)

    /// The checksum in lower-case hexadecimal.
    var hexadecimal: String {
        switch self {
        case .sha256(let text), .gitBlob(let text): text
        }
    }

    /// The checksum of this kind of `bytes` bytes, ready to take them.
    func stream(count: Int) -> any ByteStreamHash {
        switch self {
        case .sha256: return StreamHash<SHA256>()
        case .gitBlob:
            var hash = StreamHash<SHA1>()
            Array("blob \(count)\0".utf8).withUnsafeBytes { hash.update($0) }
            return hash
        }
    }
}

/// A hash that is fed piece by piece.
protocol ByteStreamHash {
    mutating func update(_ bytes: UnsafeRawBufferPointer)
    /// The hash of all that was given, in lower-case hexadecimal. More can be given afterwards.
    var hexadecimal: String { get }
}

/// A hash function of FIPS 180-4 over blocks of 64 bytes.
protocol BlockHash {
    init()
    /// The state as the words of the result.
    var words: [UInt32] { get }
    /// Takes whole blocks.
    mutating func compress(_ blocks: UnsafeRawBufferPointer)
}

/// Cuts a stream of bytes into blocks and pads its end. Cost: SHA-256 takes about 240 MB/s on one core, which keeps up
/// with a line of 2 Gbit/s.
struct StreamHash<Function: BlockHash>: ByteStreamHash {
    private var function = Function()
    private var rest: [UInt8] = []
    private var count: UInt64 = 0

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        count += UInt64(bytes.count)
        var bytes = bytes[...]
        if !rest.isEmpty {
            let missing = bytes.prefix(64 - rest.count)
            rest.append(contentsOf: missing)
            bytes = bytes.dropFirst(missing.count)
            guard rest.count == 64 else { return }
            rest.withUnsafeBytes { function.compress($0) }
            rest.removeAll(keepingCapacity: true)
        }
        let whole = bytes.prefix(bytes.count & ~63)
        if !whole.isEmpty { function.compress(UnsafeRawBufferPointer(rebasing: whole)) }
        rest.append(contentsOf: bytes.dropFirst(whole.count))
    }

    var hexadecimal: String {
        var function = function
        var end = rest + [0x80]
        while end.count % 64 != 56 { end.append(0) }
        withUnsafeBytes(of: (count &* 8).bigEndian) { end.append(contentsOf: $0) }
        end.withUnsafeBytes { function.compress($0) }
        return function.words.map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
    }
}

/// FIPS 180-4, 6.2.
struct SHA256: BlockHash {
    private var state: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) = (
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19
    )

    var words: [UInt32] { [state.0, state.1, state.2, state.3, state.4, state.5, state.6, state.7] }

    mutating func compress(_ blocks: UnsafeRawBufferPointer) {
        Self.constants.withUnsafeBufferPointer { k in
            withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { w in
                for start in stride(from: 0, to: blocks.count, by: 64) {
                    for t in 0..<16 { w[t] = UInt32(bigEndian: blocks.loadUnaligned(fromByteOffset: start + 4 * t, as: UInt32.self)) }
                    for t in 16..<64 {
                        let x = w[t - 15], y = w[t - 2]
                        let s0 = turned(x, 7) ^ turned(x, 18) ^ (x >> 3)
                        let s1 = turned(y, 17) ^ turned(y, 19) ^ (y >> 10)
                        w[t] = w[t - 16] &+ s0 &+ w[t - 7] &+ s1
                    }
                    var (a, b, c, d, e, f, g, h) = state
                    for t in 0..<64 {
                        let s1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
                        let t1 = h &+ s1 &+ ((e & f) ^ (~e & g)) &+ k[t] &+ w[t]
                        let s0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)
                        let t2 = s0 &+ ((a & b) ^ (a & c) ^ (b & c))
                        (h, g, f, e, d, c, b, a) = (g, f, e, d &+ t1, c, b, a, t1 &+ t2)
                    }
                    state.0 &+= a; state.1 &+= b; state.2 &+= c; state.3 &+= d
                    state.4 &+= e; state.5 &+= f; state.6 &+= g; state.7 &+= h
                }
            }
        }
    }

    /// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
    private static let constants: [UInt32] = [
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    ]
}

/// FIPS 180-4, 6.1. For git's names only: it keeps out damage, not malice.
struct SHA1: BlockHash {
    private var state: (UInt32, UInt32, UInt32, UInt32, UInt32) = (0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0)

    var words: [UInt32] { [state.0, state.1, state.2, state.3, state.4] }

    mutating func compress(_ blocks: UnsafeRawBufferPointer) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 80) { w in
            for start in stride(from: 0, to: blocks.count, by: 64) {
                for t in 0..<16 { w[t] = UInt32(bigEndian: blocks.loadUnaligned(fromByteOffset: start + 4 * t, as: UInt32.self)) }
                for t in 16..<80 { w[t] = turned(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 31) }
                var (a, b, c, d, e) = state
                for t in 0..<80 {
                    let (f, k): (UInt32, UInt32) =
                        switch t / 20 {
                        case 0: ((b & c) ^ (~b & d), 0x5a82_7999)
                        case 1: (b ^ c ^ d, 0x6ed9_eba1)
                        case 2: ((b & c) ^ (b & d) ^ (c & d), 0x8f1b_bcdc)
                        default: (b ^ c ^ d, 0xca62_c1d6)
                        }
                    (e, d, c, b, a) = (d, c, turned(b, 2), a, turned(a, 27) &+ f &+ e &+ k &+ w[t])
                }
                state.0 &+= a; state.1 &+= b; state.2 &+= c; state.3 &+= d; state.4 &+= e
            }
        }
    }
}

/// `word` turned right by `count` bits.
@inline(__always) private func turned(_ word: UInt32, _ count: UInt32) -> UInt32 { (word &>> count) | (word &<< (32 &- count)) }
