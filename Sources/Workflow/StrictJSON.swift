import Foundation

/// JSON whose every key means something: a misspelt one would silently change what is done.
enum StrictJSON {
    /// - Throws: `WorkflowError` for a key that the value does not have, and what decoding throws.
    static func decode<Value: Codable>(_ type: Value.Type, from data: Data) throws -> Value {
        let value = try JSONDecoder().decode(Value.self, from: data)
        let known = try JSONSerialization.jsonObject(with: JSONEncoder().encode(value), options: .fragmentsAllowed)
        if let path = unknownKey(in: try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed), known) {
            throw WorkflowError.message("there is no '\(path)', or it says nothing; correct it or leave it out")
        }
        return value
    }

    /// The path of a key that one object has and the other has not, in a value that was read and written again.
    private static func unknownKey(in read: Any, _ written: Any) -> String? {
        if let read = read as? [String: Any], let written = written as? [String: Any] {
            // A problem reads older forms too, and looks at its names itself.
            for (key, value) in read.sorted(by: { $0.key < $1.key }) where key != "problem" {
                guard let other = written[key] else { return key }
                if let path = unknownKey(in: value, other) { return "\(key).\(path)" }
            }
        } else if let read = read as? [Any], let written = written as? [Any] {
            for (value, other) in zip(read, written) {
                if let path = unknownKey(in: value, other) { return path }
            }
        }
        return nil
    }

    /// What is wrong, as a part of a sentence.
    static func describe(_ error: any Error) -> String {
        func place(_ path: [any CodingKey]) -> String { path.map(\.stringValue).joined(separator: ".") }
        switch error {
        case DecodingError.keyNotFound(let key, let context): return "it has no '\(place(context.codingPath + [key]))'"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            return "'\(place(context.codingPath))' has another type"
        case DecodingError.dataCorrupted(let context):
            return context.codingPath.isEmpty
                ? "it is not valid JSON" : "'\(place(context.codingPath))' has no such value"
        default:
            let text = "\(error)"
            return text.hasSuffix(".") ? String(text.dropLast()) : text
        }
    }
}
