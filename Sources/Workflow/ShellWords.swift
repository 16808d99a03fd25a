/// A text taken apart as a shell does it.
public enum ShellWords {
    /// Words are apart by spaces, but for what stands in quotes or behind a backslash.
    /// - Parameter option: whose text it is, for the error.
    /// - Throws: `WorkflowError` for a quote that does not end.
    public static func split(_ text: String, of option: String) throws -> [String] {
        var (words, word, quote, isEscaped) = ([String](), String?.none, Character?.none, false)
        for character in text {
            if isEscaped {
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "\"" || character == "'" {
                (quote, word) = (character, word ?? "")
            } else if character.isWhitespace {
                if let done = word { words.append(done) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        guard quote == nil, !isEscaped else {
            throw WorkflowError.message("A quote in \(option) does not end; close it.")
        }
        return words + (word.map { [$0] } ?? [])
    }
}
