import Foundation
import Weights

/// What is wrong with a model's folder or configuration. Each description is a sentence for the user.
public enum ModelError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file is missing or is not what it should be.
    case unreadable(path: String, reason: String)
    /// A configuration value this program does not implement. It is refused because ignoring it would change the result.
    case unsupported(path: String, key: String, value: String, supported: String)
    /// A key that is needed is missing or has another type.
    case invalid(path: String, key: String, expected: String)
    /// A prompt for a model whose text encoders or tokenizers, `lacking`, are not in its folder.
    case noTextEncoders(model: String, lacking: [String])
    /// A prompt for a model that knows no text.
    case noTextConditioning(model: String)
    /// The parts of a model do not fit together, or an input does not fit the model.
    case mismatch(String)

    public var description: String {
        switch self {
        case .unreadable(let path, let reason):
            "\(path) cannot be used: \(reason)."
        case .unsupported(let path, let key, let value, let supported):
            "\(path): \(key) is \(value), which this program does not implement (it does: \(supported)); use another model."
        case .invalid(let path, let key, let expected):
            "\(path): \(key) is missing or is not \(expected); the configuration must be the one that came with the weights."
        case .noTextEncoders(let model, let lacking):
            "\(model) has no text encoders, which a prompt needs (it lacks \(lacking.joined(separator: ", ")), or their safetensors files); "
                + "fetch them with `visionxl models pull`, the model's name and --text."
        case .noTextConditioning(let model):
            "\(model) knows no text; leave out prompts and guidance, or use another model."
        case .mismatch(let message):
            message
        }
    }
}

/// Reads a component's config.json and keeps account of the keys, so that none that matters is ignored.
///
/// Every key is either read, declared to be without influence, or must have a value that switches it off (null, false or an empty
/// list); `finish` refuses the rest by name.
package final class ConfigurationReader {
    package let path: String
    private let values: [String: Value]
    private var seen: Set<String> = []

    package enum Value: Decodable, Equatable {
        case null
        case bool(Bool)
        case number(Double)
        case string(String)
        case list([Value])
        case object([String: Value])

        package init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let value = try? container.decode(Bool.self) {
                self = .bool(value)
            } else if let value = try? container.decode(Double.self) {
                self = .number(value)
            } else if let value = try? container.decode(String.self) {
                self = .string(value)
            } else if let value = try? container.decode([Value].self) {
                self = .list(value)
            } else {
                self = .object(try container.decode([String: Value].self))
            }
        }

        var text: String {
            switch self {
            case .null: "null"
            case .bool(let value): "\(value)"
            case .number(let value): value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
            case .string(let value): "\"\(value)\""
            case .list(let values): "[" + values.map(\.text).joined(separator: ", ") + "]"
            case .object: "an object"
            }
        }

        /// Whether the value switches its key off.
        var isOff: Bool { self == .null || self == .bool(false) || self == .list([]) }
    }

    package init(data: Data, path: String) throws {
        self.path = path
        do {
            values = try JSONDecoder().decode([String: Value].self, from: data)
        } catch {
            throw ModelError.unreadable(path: path, reason: "it is not a JSON object")
        }
    }

    package convenience init(contentsOf url: URL) throws {
        guard let data = try? Data(contentsOf: url) else {
            throw ModelError.unreadable(path: url.path, reason: "the file is missing or unreadable")
        }
        try self.init(data: data, path: url.path)
    }

    private func value(_ key: String) -> Value? {
        seen.insert(key)
        guard let value = values[key], value != .null else { return nil }
        return value
    }

    package func string(_ key: String, default fallback: String? = nil) throws -> String {
        switch value(key) {
        case .string(let value): return value
        case nil: if let fallback { return fallback }
        default: break
        }
        throw ModelError.invalid(path: path, key: key, expected: "a text")
    }

    /// - Parameter fallback: where the key is missing; null is nil.
    package func optionalString(_ key: String, default fallback: String? = nil) throws -> String? {
        guard value(key) == nil else { return try string(key) }
        return values[key] == nil ? fallback : nil
    }

    package func double(_ key: String, default fallback: Double? = nil) throws -> Double {
        switch value(key) {
        case .number(let value): return value
        case nil: if let fallback { return fallback }
        default: break
        }
        throw ModelError.invalid(path: path, key: key, expected: "a number")
    }

    package func int(_ key: String, default fallback: Int? = nil) throws -> Int {
        let value = try double(key, default: fallback.map(Double.init))
        guard let result = Int(exactly: value), result >= 0 else {
            throw ModelError.invalid(path: path, key: key, expected: "a whole number")
        }
        return result
    }

    /// A count that sizes are made of: at least 1.
    package func positive(_ key: String, default fallback: Int? = nil) throws -> Int {
        let result = try int(key, default: fallback)
        guard result >= 1 else { throw ModelError.invalid(path: path, key: key, expected: "at least 1") }
        return result
    }

    package func bool(_ key: String, default fallback: Bool) throws -> Bool {
        switch value(key) {
        case .bool(let value): return value
        case nil: return fallback
        default: throw ModelError.invalid(path: path, key: key, expected: "true or false")
        }
    }

    /// A list of texts, empty where there is none.
    package func optionalStrings(_ key: String) throws -> [String] { value(key) == nil ? [] : try strings(key) }

    package func strings(_ key: String) throws -> [String] {
        guard case .list(let items) = value(key) else {
            throw ModelError.invalid(path: path, key: key, expected: "a list of texts")
        }
        return try items.map {
            guard case .string(let text) = $0 else {
                throw ModelError.invalid(path: path, key: key, expected: "a list of texts")
            }
            return text
        }
    }

    /// A list of positive whole numbers; where `count` is given a single number stands for a list of that many.
    package func ints(_ key: String, count: Int? = nil, default fallback: Int? = nil) throws -> [Int] {
        let items: [Value]
        switch value(key) {
        case .list(let list): items = list
        case .number(let number) where count != nil: items = Array(repeating: .number(number), count: count ?? 0)
        case nil where fallback != nil && count != nil:
            return Array(repeating: fallback ?? 0, count: count ?? 0)
        default: throw ModelError.invalid(path: path, key: key, expected: "a list of whole numbers")
        }
        let result = try items.map { item throws -> Int in
            guard case .number(let number) = item, let int = Int(exactly: number), int >= 1 else {
                throw ModelError.invalid(path: path, key: key, expected: "a list of whole numbers")
            }
            return int
        }
        if let count, result.count != count {
            throw ModelError.invalid(path: path, key: key, expected: "a list of \(count) numbers")
        }
        return result
    }

    /// A list of numbers, or a text of them with commas between, as guided-diffusion has it; nil where there is none or it is empty.
    package func numbers(_ key: String) throws -> [Double]? {
        let found: [Double?]
        switch value(key) {
        case nil: return nil
        case .string(let text):
            found = text.split(separator: ",").map { Double($0.trimmingCharacters(in: .whitespaces)) }
        case .list(let items):
            found = items.map {
                guard case .number(let number) = $0 else { return nil }
                return number
            }
        default: found = [nil]
        }
        let numbers = found.compactMap { $0 }
        guard numbers.count == found.count, numbers.allSatisfy({ abs($0) < 1e6 }) else {
            throw ModelError.invalid(path: path, key: key, expected: "a list of numbers")
        }
        return numbers.isEmpty ? nil : numbers
    }

    /// Reads a key that has only one value here.
    package func require(_ key: String, _ supported: String..., default fallback: String) throws {
        let found = value(key)?.text ?? fallback
        guard supported.contains(found) else {
            throw ModelError.unsupported(
                path: path, key: key, value: found, supported: supported.joined(separator: " or "))
        }
    }

    /// Declares keys that do not influence inference.
    package func ignore(_ keys: String...) { seen.formUnion(keys) }

    /// Refuses keys that nobody read, unless they are switched off or private (`_class_name`).
    package func finish() throws {
        for (key, value) in values.sorted(by: { $0.key < $1.key })
        where !seen.contains(key) && !key.hasPrefix("_") && !value.isOff {
            throw ModelError.unsupported(path: path, key: key, value: value.text, supported: "models without it")
        }
    }
}
