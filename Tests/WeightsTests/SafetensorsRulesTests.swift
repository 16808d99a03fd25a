import Foundation
import Testing

@testable import Weights

/// Each rule of the format with a file that breaks it and nothing else.
@Suite("Safetensors rules")
struct SafetensorsRulesTests {
    private func refusal(_ bytes: [UInt8]) -> SafetensorsViolation? {
        do throws(SafetensorsViolation) {
            _ = try header(of: bytes)
            return nil
        } catch {
            return error
        }
    }

    private func refusal(_ text: String, data: Int = 0) -> SafetensorsViolation? {
        refusal(safetensors(text, data: data))
    }

    /// A header of one tensor `t` from the texts of its fields.
    private func one(_ dtype: String = "\"F32\"", _ shape: String = "[2]", _ offsets: String = "[0,8]") -> String {
        "{\"t\":{\"dtype\":\(dtype),\"shape\":\(shape),\"data_offsets\":\(offsets)}}"
    }

    @Test func validFilesAreAccepted() throws {
        #expect(refusal("{}") == nil)
        #expect(refusal("{}   ") == nil)
        #expect(refusal(" { } ".trimmingCharacters(in: .whitespaces)) == nil)
        #expect(refusal(one(), data: 8) == nil)
        #expect(refusal(one("\"F32\"", "[]", "[0,4]"), data: 4) == nil)
        #expect(refusal(one("\"F32\"", "[0,3]", "[0,0]")) == nil)
        let parsed = try header(
            of: safetensors(
                "{\n\"__metadata__\" : {\"a\":\"\\u00e9\\ud83d\\ude42\"} , \"t\":{\"shape\":[2, 1],\"data_offsets\":[0,2],\"dtype\":\"U8\"}}",
                data: 2))
        #expect(parsed.metadata == ["a": "é🙂"])
        #expect(parsed.entries == ["t": .init(dtype: .u8, shape: [2, 1], range: 0..<2)])
    }

    @Test(arguments: SafetensorsDType.allCases)
    func everyTypeIsRecognised(dtype: SafetensorsDType) throws {
        let parsed = try header(
            of: safetensors(one("\"\(dtype.rawValue)\"", "[3]", "[0,\(3 * dtype.size)]"), data: 3 * dtype.size))
        #expect(parsed.entries["t"]?.dtype == dtype)
    }

    @Test(arguments: 0..<8)
    func shorterThanTheLength(size: Int) {
        #expect(refusal([UInt8](repeating: 0, count: size)) == .fileTooShort(size: size))
    }

    @Test func headerLength() {
        #expect(
            refusal(safetensors("{}", claims: 100_000_001)) == .headerTooLong(length: 100_000_001, limit: 100_000_000))
        #expect(refusal(safetensors("{}", claims: .max)) == .headerTooLong(length: .max, limit: 100_000_000))
        #expect(refusal(safetensors("{}", claims: 100_000_000)) == .headerBeyondFile(length: 100_000_000, fileSize: 10))
        #expect(refusal(safetensors("{}", claims: 3)) == .headerBeyondFile(length: 3, fileSize: 10))
    }

    @Test func otherFormatsAreNamed() {
        #expect(refusal(Array("version https://git-lfs.github.com/spec/v1\noid sha256:0\n".utf8)) == .gitLFSPointer)
        #expect(refusal([0x50, 0x4B, 3, 4, 0, 0, 8, 8, 0, 0]) == .pickle)
        #expect(refusal([0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9]) == .pickle)
    }

    @Test func headerText() {
        #expect(refusal("") == .headerDoesNotStartWithBrace)
        #expect(refusal(" {}") == .headerDoesNotStartWithBrace)
        #expect(refusal("[]") == .headerDoesNotStartWithBrace)
        #expect(refusal("\u{FEFF}{}") == .headerDoesNotStartWithBrace)
        #expect(refusal(safetensors(Array("{\"".utf8) + [0xFF] + Array("\":1}".utf8))) == .headerNotUTF8)
        #expect(refusal(safetensors(Array("{\"".utf8) + [0xC0, 0x80] + Array("\":1}".utf8))) == .headerNotUTF8)
    }

    @Test(arguments: [
        "{", "{}x", "{}{}", "{},", "{}\n", "{}\0", "{\"a\"}", "{,}", "{'a':1}", "{\"__metadata__\":{\"a\":\"b\"},}",
        "{\"__metadata__\":{\"a\":\"\n\"}}", "{\"__metadata__\":{\"a\":\"\\x\"}}",
        "{\"__metadata__\":{\"a\":\"\\u12\"}}",
        "{\"__metadata__\":{\"a\":\"\\ud800\"}}", "{\"__metadata__\":{\"a\":\"\\ud800\\u0041\"}}",
        "{\"__metadata__\":{\"a\":\"\\udc00\"}}",
        "{\"__metadata__\":{\"a\":\"", "{\"__metadata__\":{\"a\":\"\\", "{\"__metadata__\":{\"a\":\"\\uff１1\"}}",
    ])
    func headerIsNotJSON(text: String) {
        guard case .headerNotJSON(.syntax)? = refusal(text) else {
            Issue.record("\(text.debugDescription): \(String(describing: refusal(text)))")
            return
        }
    }

    @Test func duplicateKeys() {
        let entry = "{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}"
        #expect(refusal("{\"t\":\(entry),\"t\":\(entry)}") == .headerNotJSON(.duplicateKey("t")))
        #expect(refusal("{\"t\":\(entry),\"\\u0074\":\(entry)}") == .headerNotJSON(.duplicateKey("t")))
        #expect(refusal("{\"é\":\(entry),\"e\u{301}\":\(entry)}") == .headerNotJSON(.duplicateKey("é")))
        #expect(refusal("{\"t\":{\"dtype\":\"F32\",\"dtype\":\"F16\"}}") == .headerNotJSON(.duplicateKey("dtype")))
        #expect(refusal("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}") == .headerNotJSON(.duplicateKey("a")))
        #expect(refusal("{\"__metadata__\":{},\"__metadata__\":{}}") == .headerNotJSON(.duplicateKey("__metadata__")))
    }

    @Test func metadata() {
        for value in ["1", "[]", "null", "\"a\"", "{\"a\":1}", "{\"a\":null}", "{\"a\":{}}", "{\"a\":[\"b\"]}"] {
            #expect(refusal("{\"__metadata__\":\(value)}") == .metadataNotStrings, "\(value)")
        }
    }

    @Test func fields() {
        for value in ["1", "[]", "null", "\"a\""] {
            #expect(refusal("{\"t\":\(value)}") == .tensorNotAnObject("t"), "\(value)")
        }
        #expect(refusal("{\"t\":{\"shape\":[0],\"data_offsets\":[0,0]}}") == .missingField(tensor: "t", field: "dtype"))
        #expect(
            refusal("{\"t\":{\"dtype\":\"F32\",\"data_offsets\":[0,0]}}") == .missingField(tensor: "t", field: "shape"))
        #expect(
            refusal("{\"t\":{\"dtype\":\"F32\",\"shape\":[0]}}") == .missingField(tensor: "t", field: "data_offsets"))
        #expect(refusal("{\"t\":{\"stride\":[1]}}") == .unknownField(tensor: "t", field: "stride"))
    }

    @Test func types() {
        #expect(refusal(one("\"F31\""), data: 8) == .unknownDType(tensor: "t", dtype: "F31"))
        #expect(refusal(one("\"f32\""), data: 8) == .unknownDType(tensor: "t", dtype: "f32"))
        #expect(refusal(one("7"), data: 8) == .unknownDType(tensor: "t", dtype: ""))
    }

    @Test(arguments: [
        "2", "{}", "null", "\"2\"", "[-1]", "[2.0]", "[2e0]", "[\"2\"]", "[[2]]", "[null]", "[true]", "[01]", "[-0]",
    ])
    func shapes(shape: String) {
        #expect(refusal(one("\"F32\"", shape), data: 8) == .badShape(tensor: "t"))
    }

    @Test func dimensions() {
        let ones = { (count: Int) in "[" + repeatElement("1", count: count).joined(separator: ",") + "]" }
        #expect(refusal(one("\"U8\"", ones(64), "[0,1]"), data: 1) == nil)
        #expect(refusal(one("\"U8\"", ones(65), "[0,1]"), data: 1) == .tooManyDimensions(tensor: "t", limit: 64))
    }

    @Test(arguments: [
        "8", "{}", "null", "[]", "[0]", "[0,8,8]", "[-1,8]", "[0,8.0]", "[\"0\",8]", "[0,99999999999999999999]",
    ])
    func offsets(offsets: String) {
        #expect(refusal(one("\"F32\"", "[2]", offsets), data: 8) == .badOffsets(tensor: "t"))
    }

    @Test func overflow() {
        let overflow = SafetensorsViolation.sizeOverflow(tensor: "t")
        #expect(refusal(one("\"U8\"", "[99999999999999999999]", "[0,8]"), data: 8) == overflow)
        #expect(refusal(one("\"U8\"", "[9223372036854775808]", "[0,8]"), data: 8) == overflow)
        #expect(refusal(one("\"U8\"", "[4294967296,4294967296]", "[0,8]"), data: 8) == overflow)
        #expect(refusal(one("\"U8\"", "[4294967296,4294967297,0]", "[0,0]")) == overflow)
        #expect(refusal(one("\"F32\"", "[4611686018427387904]", "[0,8]"), data: 8) == overflow)
        #expect(refusal(one("\"F64\"", "[2305843009213693953]", "[0,8]"), data: 8) == overflow)
    }

    @Test func ranges() {
        #expect(refusal(one("\"F32\"", "[2]", "[8,0]"), data: 8) == .offsetsReversed(tensor: "t", begin: 8, end: 0))
        #expect(refusal(one(), data: 7) == .offsetsBeyondData(tensor: "t", end: 8, dataSize: 7))
        #expect(
            refusal(one("\"U8\"", "[9223372036854775807]", "[0,9223372036854775807]"))
                == .offsetsBeyondData(tensor: "t", end: .max, dataSize: 0))
        #expect(refusal(one("\"F32\"", "[3]"), data: 8) == .wrongByteCount(tensor: "t", expected: 12, found: 8))
        #expect(refusal(one("\"F16\"", "[2]"), data: 8) == .wrongByteCount(tensor: "t", expected: 4, found: 8))
        #expect(refusal(one("\"F16\"", "[0]"), data: 8) == .wrongByteCount(tensor: "t", expected: 0, found: 8))
        #expect(refusal(one("\"F32\"", "[2]", "[1,9]"), data: 9) == .hole(tensor: "t", begin: 1, previousEnd: 0))
        #expect(refusal(one(), data: 9) == .uncoveredTail(covered: 8, dataSize: 9))
        #expect(refusal("{}", data: 1) == .uncoveredTail(covered: 0, dataSize: 1))
    }

    /// Two tensors of bytes at `a` and `b`.
    private func two(_ a: Range<Int>, _ b: Range<Int>) -> String {
        let entry = { (range: Range<Int>) in
            "{\"dtype\":\"U8\",\"shape\":[\(range.count)],\"data_offsets\":[\(range.lowerBound),\(range.upperBound)]}"
        }
        return "{\"a\":\(entry(a)),\"b\":\(entry(b))}"
    }

    @Test func neighbours() {
        #expect(refusal(two(4..<8, 0..<4), data: 8) == nil)
        #expect(refusal(two(0..<4, 4..<4), data: 4) == nil)
        #expect(refusal(two(0..<4, 0..<0), data: 4) == nil)
        #expect(refusal(two(0..<4, 3..<8), data: 8) == .overlap(tensor: "b", begin: 3, previousEnd: 4))
        #expect(refusal(two(0..<4, 0..<4), data: 4) == .overlap(tensor: "b", begin: 0, previousEnd: 4))
        #expect(refusal(two(0..<8, 2..<4), data: 8) == .overlap(tensor: "b", begin: 2, previousEnd: 8))
        #expect(refusal(two(0..<8, 2..<2), data: 8) == .overlap(tensor: "b", begin: 2, previousEnd: 8))
        #expect(refusal(two(0..<4, 5..<8), data: 8) == .hole(tensor: "b", begin: 5, previousEnd: 4))
    }

    @Test func deepNestingIsRefusedBeforeItIsFollowed() {
        let deep = String(repeating: "[", count: 1_000_000)
        #expect(refusal(one("\"F32\"", deep), data: 8) == .badShape(tensor: "t"))
        #expect(throws: JSONProblem.nestedTooDeep(limit: 32)) {
            var cursor = JSONCursor(Array(deep.utf8))
            try cursor.skipValue()
        }
    }

    @Test func hostileNamesAreShownSafely() {
        let name = "\\u001b[2J\\u202e" + String(repeating: "x", count: 1000)
        let message = "\(refusal("{\"\(name)\":1}").map(String.init(describing:)) ?? "")"
        #expect(message.contains("\\u{1b}[2J\\u{202e}xxx"))
        #expect(message.count < 300)
    }
}
