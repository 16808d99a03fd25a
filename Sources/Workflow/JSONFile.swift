import Foundation

/// JSON for people: indented, in the keys' order.
public enum JSONFile {
    public static func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
    }

    /// Writes beside and moves into place, replacing what is there.
    public static func write(_ value: some Encodable, to path: String) throws {
        do {
            try Data(text(value).utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw WorkflowError.message(
                "\(path) cannot be written (\(error.localizedDescription)); choose another folder or free some space.")
        }
    }
}
