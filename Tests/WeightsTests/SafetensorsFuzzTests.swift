import Foundation
import TestSupport
import Testing

@testable import Weights

/// Damaged files: each is either refused by name or parses to ranges that hold.
@Suite("Safetensors fuzz")
struct SafetensorsFuzzTests {
    private func seeds(_ generator: inout SeededGenerator) throws -> [[UInt8]] {
        let scratch = try Scratch()
        return try (0..<40).map { index in
            let url = scratch.url.appendingPathComponent("\(index)")
            try SafetensorsWriter.write(
                randomArrays(&generator), metadata: index.isMultiple(of: 2) ? [:] : ["format": "pt"], to: url)
            return Array(try Data(contentsOf: url))
        }
    }

    /// One step of damage.
    private func mutate(_ bytes: inout [UInt8], _ others: [[UInt8]], _ generator: inout SeededGenerator) {
        let tokens = [
            "{", "}", "[", "]", "\"", ":", ",", "\\", "\\u", "0", "-1", "9", "1e9", "9223372036854775807",
            "18446744073709551616",
            "null",
            "F32", "F16", "U8", "shape", "__metadata__", "[0,0]", "{}", " ", "\n", "\u{0}", "é",
        ]
        let size = bytes.count
        let place = { (generator: inout SeededGenerator) in Int.random(in: 0...size, using: &generator) }
        let headerEnd = min(bytes.count, 8 + Int(bytes.first ?? 0) + 256 * Int(bytes.dropFirst().first ?? 0))
        switch Int.random(in: 0..<8, using: &generator) {
        case 0 where !bytes.isEmpty:
            bytes[Int.random(in: 0..<bytes.count, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 1:
            bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator))
        case 2 where bytes.count >= 8:
            let length = [
                0, 1, 2, UInt64(bytes.count), UInt64(bytes.count) &- 8, 100_000_000, 100_000_001, .max, 1 << 63,
                UInt64.random(in: 0...300, using: &generator),
            ]
            bytes.replaceSubrange(
                0..<8,
                with: withUnsafeBytes(of: (length.randomElement(using: &generator) ?? 0).littleEndian, Array.init))
        case 3 where headerEnd > 8:
            let token = Array((tokens.randomElement(using: &generator) ?? "").utf8)
            let start = Int.random(in: 8..<headerEnd, using: &generator)
            let end = min(headerEnd, start + Int.random(in: 0...3, using: &generator))
            bytes.replaceSubrange(start..<end, with: token)
        case 4:
            // A token put in, the length corrected, so that the parser sees all of it.
            let token = Array((tokens.randomElement(using: &generator) ?? "").utf8)
            guard headerEnd > 8, headerEnd - 8 + token.count < 65536 else { return }
            bytes.insert(contentsOf: token, at: Int.random(in: 8...headerEnd, using: &generator))
            let length = headerEnd - 8 + token.count
            bytes[0] = UInt8(length & 0xFF)
            bytes[1] = UInt8(length >> 8)
        case 5:
            let other = others.randomElement(using: &generator) ?? []
            bytes = Array(
                bytes.prefix(place(&generator)) + other.suffix(Int.random(in: 0...other.count, using: &generator)))
        case 6:
            let start = place(&generator)
            let end = min(bytes.count, start + Int.random(in: 0...32, using: &generator))
            bytes.insert(contentsOf: bytes[start..<end], at: place(&generator))
        default:
            // One digit for another: shapes and offsets that no longer agree.
            let digits = bytes.indices.filter { $0 >= 8 && $0 < headerEnd && (0x30...0x39).contains(bytes[$0]) }
            guard let index = digits.randomElement(using: &generator) else { return }
            bytes[index] = UInt8.random(in: 0x30...0x39, using: &generator)
        }
    }

    @Test func damagedFilesAreRefusedOrHold() throws {
        var generator = SeededGenerator(seed: 20_240_711)
        let seeds = try seeds(&generator)
        var refused: [String: Int] = [:]
        var accepted = 0
        for round in 0..<6000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...3, using: &generator) { mutate(&bytes, seeds, &generator) }
            do throws(SafetensorsViolation) {
                let header = try header(of: bytes)
                accepted += 1
                #expect(header.dataStart + header.dataSize == bytes.count)
                var total = 0
                for entry in header.entries.values {
                    #expect(entry.range.lowerBound >= 0 && entry.range.upperBound <= header.dataSize)
                    #expect(entry.shape.reduce(entry.dtype.size, *) == entry.range.count)
                    total += entry.range.count
                }
                #expect(total == header.dataSize)
            } catch {
                #expect(!error.description.isEmpty)
                refused[String("\(String(reflecting: error))".prefix { $0 != "(" }), default: 0] += 1
            }
        }
        // The damage must reach deep: many rules met, and some files still whole.
        #expect(refused.count >= 15, "\(refused)")
        #expect(accepted > 100)
    }

    @Test func everyTruncationIsRefused() throws {
        let scratch = try Scratch()
        let url = scratch.url.appendingPathComponent("a")
        let arrays: [String: SafetensorsWriter.Array] = [
            "a": .init(dtype: .f32, shape: [2], bytes: Data(count: 8)),
            "b": .init(dtype: .u8, shape: [3], bytes: Data(count: 3)),
        ]
        try SafetensorsWriter.write(arrays, to: url)
        let whole = Array(try Data(contentsOf: url))
        for length in 0..<whole.count {
            #expect(throws: SafetensorsViolation.self) { try header(of: Array(whole.prefix(length))) }
            let short = try scratch.file("short", Array(whole.prefix(length)))
            #expect(throws: SafetensorsError.self) { try SafetensorsFile(at: short) }
        }
    }
}
