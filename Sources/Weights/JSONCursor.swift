/// What can be wrong with a piece of JSON.
public enum JSONProblem: Error, Sendable, Hashable, CustomStringConvertible {
    case syntax(offset: Int, expected: String)
    case duplicateKey(String)
    case nestedTooDeep(limit: Int)
    case numberTooLarge(offset: Int)

    public var description: String {
        switch self {
        case .syntax(let offset, let expected): "at byte \(offset) \(expected) was expected"
        case .duplicateKey(let key): "the key \(quoted(key)) stands twice in one object"
        case .nestedTooDeep(let limit): "objects and arrays are nested more than \(limit) deep"
        case .numberTooLarge(let offset): "the number at byte \(offset) does not fit in 64 bits"
        }
    }
}

/// A strict reader that walks over JSON text without building a tree of it.
///
/// Foundation's reader takes the last of two equal keys without a word, and a tree of a hostile header can be many times its size;
/// this one refuses the first and never makes the second. Keys are compared as Swift strings, so two spellings that are
/// canonically equivalent Unicode count as the same key. The bytes must be valid UTF-8: the caller checks that once.
struct JSONCursor {
    static let depthLimit = 32

    private let bytes: [UInt8]
    private(set) var position = 0
    private var depth = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    enum Kind { case object, array, string, number, other }

    /// The kind of the value that comes next.
    mutating func peek() -> Kind {
        skipWhitespace()
        switch current ?? 0 {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default: return .other
        }
    }

    /// Reads an object; `member` is called behind each colon and must read exactly one value.
    mutating func object(_ member: (inout JSONCursor, String) throws -> Void) throws {
        try enter("{", "an object")
        var seen: Set<String> = []
        if take("}") { return leave() }
        while true {
            let key = try string()
            guard seen.insert(key).inserted else { throw JSONProblem.duplicateKey(key) }
            guard take(":") else { throw expected("':'") }
            try member(&self, key)
            if take("}") { return leave() }
            guard take(",") else { throw expected("',' or '}'") }
        }
    }

    /// Reads an array; `element` is called at each value and must read exactly that value.
    mutating func array(_ element: (inout JSONCursor) throws -> Void) throws {
        try enter("[", "an array")
        if take("]") { return leave() }
        while true {
            try element(&self)
            if take("]") { return leave() }
            guard take(",") else { throw expected("',' or ']'") }
        }
    }

    /// Reads a string, escapes resolved.
    mutating func string() throws(JSONProblem) -> String {
        guard take("\"") else { throw expected("a string") }
        var text: [UInt8] = []
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                position += 1
                try escape(into: &text)
            case 0..<0x20:
                throw expected("an escape in place of a control character")
            default:
                text.append(byte)
                position += 1
            }
        }
        throw expected("the end of the string")
    }

    /// Reads a non-negative integer written with digits only.
    mutating func count() throws(JSONProblem) -> Int {
        skipWhitespace()
        let start = position
        var value = 0
        while let digit = digit() {
            let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
            let (next, carry) = tens.addingReportingOverflow(digit)
            if overflow || carry { throw .numberTooLarge(offset: start) }
            value = next
            position += 1
        }
        let length = position - start
        if length == 0 || (length > 1 && bytes[start] == UInt8(ascii: "0")) {
            throw .syntax(offset: start, expected: "a non-negative integer")
        }
        if let byte = current, [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(byte) {
            throw .syntax(offset: start, expected: "a non-negative integer")
        }
        return value
    }

    /// Walks over one value of any kind.
    mutating func skipValue() throws {
        switch peek() {
        case .object: try object { cursor, _ in try cursor.skipValue() }
        case .array: try array { cursor in try cursor.skipValue() }
        case .string: _ = try string()
        case .number: try skipNumber()
        case .other:
            for word in ["true", "false", "null"] where bytes[position...].starts(with: word.utf8) {
                position += word.utf8.count
                return
            }
            throw expected("a value")
        }
    }

    /// Demands that only `padding` follows.
    mutating func end(padding: [UInt8] = [0x20, 0x09, 0x0A, 0x0D]) throws(JSONProblem) {
        while let byte = current, padding.contains(byte) { position += 1 }
        if position != bytes.count { throw expected("the end") }
    }
}

// MARK: - Smaller than a value

extension JSONCursor {
    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipWhitespace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private func expected(_ what: String) -> JSONProblem { .syntax(offset: position, expected: what) }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipWhitespace()
        guard current == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func enter(_ bracket: Unicode.Scalar, _ what: String) throws(JSONProblem) {
        guard take(bracket) else { throw expected(what) }
        depth += 1
        if depth > Self.depthLimit { throw .nestedTooDeep(limit: Self.depthLimit) }
    }

    private mutating func leave() { depth -= 1 }

    private func digit() -> Int? {
        guard let byte = current, byte >= 0x30, byte <= 0x39 else { return nil }
        return Int(byte) - 0x30
    }

    private mutating func digits() throws(JSONProblem) {
        guard digit() != nil else { throw expected("a digit") }
        while digit() != nil { position += 1 }
    }

    private mutating func skipNumber() throws(JSONProblem) {
        if current == UInt8(ascii: "-") { position += 1 }
        if digit() == 0 { position += 1 } else { try digits() }
        if current == UInt8(ascii: ".") {
            position += 1
            try digits()
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
            try digits()
        }
    }

    /// Reads what follows a backslash.
    private mutating func escape(into text: inout [UInt8]) throws(JSONProblem) {
        guard let byte = current else { throw expected("an escape") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text.append(contentsOf: String(Character(try unicodeEscape())).utf8)
        default:
            position -= 1
            throw expected("one of the escapes of JSON")
        }
    }

    private mutating func unicodeEscape() throws(JSONProblem) -> Unicode.Scalar {
        var code = try hexDigits()
        if code >= 0xD800, code < 0xDC00, current == UInt8(ascii: "\\") {
            position += 1
            guard current == UInt8(ascii: "u") else { throw expected("the second half of a surrogate pair") }
            position += 1
            let low = try hexDigits()
            guard low >= 0xDC00, low < 0xE000 else { throw expected("the second half of a surrogate pair") }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw expected("a whole surrogate pair") }
        return scalar
    }

    private mutating func hexDigits() throws(JSONProblem) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = current, let value = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw expected("four hexadecimal digits")
            }
            code = code << 4 | UInt32(value)
            position += 1
        }
        return code
    }
}

// MARK: - Names in messages and in headers

/// A name from a file as it may be shown: in quotes, control characters escaped, cut where it is long.
func quoted(_ name: String) -> String {
    var shown = ""
    for scalar in name.unicodeScalars.prefix(120) {
        let isControl = scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
        shown += isControl ? "\\u{\(String(scalar.value, radix: 16))}" : String(Character(scalar))
    }
    return "'\(shown)\(name.unicodeScalars.count > 120 ? "…" : "")'"
}

/// `text` as a JSON string.
func jsonString(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case _ where scalar.value < 0x20:
            let hex = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
