import Foundation
import Networks

/// CLIP's byte-pair tokenizer (Radford et al. 2021, section 2.4; byte pairs: Sennrich et al. 2016), from the `vocab.json` and
/// `merges.txt` of a tokenizer's folder.
///
/// It gives the ids that transformers' `CLIPTokenizer` 5 and `CLIPTokenizerFast` give: text is composed (NFC) and put into lower case,
/// cut into contractions, words, single digits and runs of other characters, and each piece's bytes are joined by the merges.
///
///     let tokenizer = try CLIPTokenizer(folder: model.appendingPathComponent("tokenizer"))
///     tokenizer("a photo of a cat").ids    // 77 of them: start, text, end, padding
public struct CLIPTokenizer: Sendable {
    /// The ids of the tokens that stand before and after a text, and behind it up to `length`.
    public let start, end, padding: Int
    /// Tokens of every result, 77 for CLIP.
    public let length: Int
    /// Ids are below this.
    public let vocabularySize: Int

    private let unknown: Int
    /// The id of each byte, and of each as the last of a piece.
    private let byteIDs, lastByteIDs: [Int]
    private let merges: [Pair: Merge]
    /// Tokens that are found in the text before it is normalised, and after that.
    private let rawTokens, normalizedTokens: [AddedToken]

    /// A text's tokens.
    public struct Tokens: Sendable, Equatable {
        /// `length` ids.
        public var ids: [Int]
        /// The end of the text, in lower case, that found no room; nil where all of it did.
        public var removed: String?
    }

    private struct Pair: Hashable {
        var left, right: Int
    }

    private struct Merge {
        var rank, id: Int
    }

    private struct AddedToken {
        var scalars: [Unicode.Scalar]
        var id: Int
    }

    /// Opens a tokenizer's folder: `vocab.json`, `merges.txt`, and `tokenizer_config.json` and `special_tokens_map.json` where they are there.
    /// Cost: a quarter of a second for a vocabulary of CLIP's size, 49,408 tokens.
    public init(folder: URL) throws {
        let vocabularyFile = folder.appendingPathComponent("vocab.json")
        guard let data = try? Data(contentsOf: vocabularyFile) else {
            throw ModelError.unreadable(
                path: vocabularyFile.path,
                reason: "the file is missing or unreadable (vocab.json and merges.txt are what is read)")
        }
        guard let vocabulary = try? JSONDecoder().decode([String: Int].self, from: data), !vocabulary.isEmpty,
            vocabulary.values.allSatisfy({ 0..<(1 << 24) ~= $0 })
        else {
            throw ModelError.unreadable(
                path: vocabularyFile.path, reason: "it is not a JSON object of tokens and their numbers")
        }
        let settings = try TokenizerSettings(folder: folder)
        func id(_ token: TokenizerSettings.Token) throws -> Int {
            guard let id = settings.id(of: token.content) ?? vocabulary[token.content] else {
                throw ModelError.unreadable(path: vocabularyFile.path, reason: "it lacks the token \(token.content)")
            }
            return id
        }
        (start, end, padding, unknown) = try (
            id(settings.start), id(settings.end), id(settings.padding), id(settings.unknown)
        )
        length = settings.length
        let added = try settings.addedTokens.map {
            (isNormalized: $0.isNormalized, AddedToken(scalars: Array($0.content.unicodeScalars), id: try id($0)))
        }
        rawTokens = added.filter { !$0.isNormalized }.map(\.1)
        normalizedTokens = added.filter(\.isNormalized).map {
            AddedToken(scalars: Self.normalized($0.1.scalars), id: $0.1.id)
        }
        vocabularySize = 1 + max(vocabulary.values.max() ?? 0, added.map(\.1.id).max() ?? 0)

        let unknown = unknown
        byteIDs = Self.letters.map { vocabulary[String($0)] ?? unknown }
        lastByteIDs = Self.letters.map { vocabulary["\($0)</w>"] ?? unknown }
        merges = try Self.merges(in: folder.appendingPathComponent("merges.txt"), vocabulary)
    }

    /// Reads "#version: 0.2" and a line for each merge, the first one the strongest.
    private static func merges(in file: URL, _ vocabulary: [String: Int]) throws -> [Pair: Merge] {
        guard let data = try? Data(contentsOf: file) else {
            throw ModelError.unreadable(path: file.path, reason: "the file is missing or unreadable")
        }
        var merges: [Pair: Merge] = [:]
        for (index, line) in data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            if line.isEmpty || line.starts(with: "#version".utf8) { continue }
            let parts = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false).map {
                String(decoding: $0, as: UTF8.self)
            }
            guard parts.count == 2, let left = vocabulary[parts[0]], let right = vocabulary[parts[1]],
                let id = vocabulary[parts[0] + parts[1]]
            else {
                throw ModelError.unreadable(
                    path: file.path,
                    reason: "line \(index + 1) is not a pair of tokens that vocab.json has, alone and joined")
            }
            if merges[Pair(left: left, right: right)] == nil {
                merges[Pair(left: left, right: right)] = Merge(rank: index, id: id)
            }
        }
        return merges
    }

    // MARK: Tokens of a text

    /// The text between `start` and `end`, cut off or padded to `length` tokens.
    public func callAsFunction(_ text: String) -> Tokens {
        let pieces = pieces(of: text)
        let room = max(length - 2, 0)
        var ids: [Int] = []
        var removed: [String] = []
        for piece in pieces {
            ids += piece.ids
            if ids.count > room { removed.append(piece.text) }
        }
        ids = [start] + ids.prefix(room) + [end]
        ids += [Int](repeating: padding, count: max(length - ids.count, 0))
        return Tokens(ids: ids, removed: removed.isEmpty ? nil : removed.joined(separator: " "))
    }

    /// The ids of a text without `start`, `end` and padding, however many.
    public func ids(of text: String) -> [Int] { pieces(of: text).flatMap(\.ids) }

    private struct Piece {
        var text: String
        var ids: [Int]
    }

    private func pieces(of text: String) -> [Piece] {
        var pieces: [Piece] = []
        Self.split(Array(text.unicodeScalars)[...], at: rawTokens) { part, id in
            if let id { return pieces.append(Piece(text: Self.string(part), ids: [id])) }
            Self.split(Self.normalized(Array(part))[...], at: normalizedTokens) { part, id in
                if let id { return pieces.append(Piece(text: Self.string(part), ids: [id])) }
                for word in Self.words(of: part) { pieces.append(Piece(text: Self.string(word), ids: joined(word))) }
            }
        }
        return pieces
    }

    /// Canonical composition, then every character's own lower case (no rule that looks at its neighbours).
    private static func normalized(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
        string(scalars[...]).precomposedStringWithCanonicalMapping.unicodeScalars.flatMap {
            $0.properties.lowercaseMapping.unicodeScalars
        }
    }

    /// Hands over the parts between the added tokens, and these with their ids: the leftmost first, of several there the longest.
    private static func split(
        _ scalars: ArraySlice<Unicode.Scalar>, at tokens: [AddedToken],
        _ part: (ArraySlice<Unicode.Scalar>, Int?) -> Void
    ) {
        var begin = scalars.startIndex
        var index = begin
        while index < scalars.endIndex {
            let found = tokens.filter { !$0.scalars.isEmpty && scalars[index...].starts(with: $0.scalars) }.max {
                $0.scalars.count < $1.scalars.count
            }
            guard let found else {
                index += 1
                continue
            }
            if begin < index { part(scalars[begin..<index], nil) }
            part(scalars[index..<index + found.scalars.count], found.id)
            index += found.scalars.count
            begin = index
        }
        if begin < index { part(scalars[begin..<index], nil) }
    }

    private static let contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].map { Array($0.unicodeScalars) }
    /// Where these stand in the text without being tokens, they still end what is before them.
    private static let literals = ["<|startoftext|>", "<|endoftext|>"].map { Array($0.unicodeScalars) }

    /// CLIP's regular expression: contractions, \p{L}+, \p{N}, [^\s\p{L}\p{N}]+.
    private static func words(of scalars: ArraySlice<Unicode.Scalar>) -> [ArraySlice<Unicode.Scalar>] {
        var words: [ArraySlice<Unicode.Scalar>] = []
        var index = scalars.startIndex
        while index < scalars.endIndex {
            let rest = scalars[index...]
            let kind = Kind(scalars[index])
            var length = 1
            if let literal = literals.first(where: { rest.starts(with: $0) }) {
                words += [rest.prefix(2), rest.prefix(literal.count - 2).dropFirst(2)]
                index += literal.count - 2
                length = 2
            } else if let contraction = contractions.first(where: { rest.starts(with: $0) }) {
                length = contraction.count
            } else if kind == .letter || kind == .other {
                length = rest.prefix { Kind($0) == kind }.count
            }
            if kind != .space { words.append(scalars[index..<index + length]) }
            index += length
        }
        return words
    }

    private enum Kind {
        case letter, number, space, other

        init(_ scalar: Unicode.Scalar) {
            switch scalar.properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: self = .letter
            case .decimalNumber, .letterNumber, .otherNumber: self = .number
            default: self = scalar.properties.isWhitespace ? .space : .other
            }
        }
    }

    /// The bytes of a word, joined by the strongest merge as long as there is one.
    private func joined(_ word: ArraySlice<Unicode.Scalar>) -> [Int] {
        let bytes = Array(Self.string(word).utf8)
        var ids = bytes.dropLast().map { byteIDs[Int($0)] } + bytes.suffix(1).map { lastByteIDs[Int($0)] }
        while true {
            var best: (pair: Pair, merge: Merge)?
            for (left, right) in zip(ids, ids.dropFirst()) {
                let pair = Pair(left: left, right: right)
                if let merge = merges[pair], merge.rank < best?.merge.rank ?? .max { best = (pair, merge) }
            }
            guard let best else { return ids }
            var shorter: [Int] = []
            var index = 0
            while index < ids.count {
                let isPair = index + 1 < ids.count && ids[index] == best.pair.left && ids[index + 1] == best.pair.right
                shorter.append(isPair ? best.merge.id : ids[index])
                index += isPair ? 2 : 1
            }
            ids = shorter
        }
    }

    private static func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    /// The character that stands for each byte: itself where it can be seen, else one from U+0100 on (GPT-2's table).
    private static let letters: [Unicode.Scalar] = {
        var next: UInt32 = 256
        return (0..<256).map { (byte: UInt32) in
            if 0x21...0x7E ~= byte || 0xA1...0xAC ~= byte || 0xAE...0xFF ~= byte { return Unicode.Scalar(UInt8(byte)) }
            defer { next += 1 }
            return Unicode.Scalar(next) ?? " "
        }
    }()
}

/// What `tokenizer_config.json` and `special_tokens_map.json` say.
private struct TokenizerSettings {
    struct Token: Decodable {
        var content: String
        /// Whether it is looked for in the normalised text.
        var isNormalized = false
        /// Rules about what stands beside it, by name.
        var rules: [String] = []

        init(_ content: String) { self.content = content }

        init(from decoder: any Decoder) throws {
            if let content = try? decoder.singleValueContainer().decode(String.self) {
                self.init(content)
                return
            }
            let values = try decoder.container(keyedBy: Key.self)
            self.init(try values.decode(String.self, forKey: .content))
            isNormalized = try values.decodeIfPresent(Bool.self, forKey: .normalized) ?? false
            rules = try [Key.lstrip, .rstrip, .single_word].filter {
                try values.decodeIfPresent(Bool.self, forKey: $0) ?? false
            }.map(\.rawValue)
        }

        private enum Key: String, CodingKey { case content, normalized, lstrip, rstrip, single_word }
    }

    private struct Declaration: Decodable {
        var bos_token, eos_token, unk_token, pad_token: Token?
        var model_max_length: Double?
        var do_lower_case: Bool?
        var added_tokens_decoder: [String: Token]?
    }

    let start, end, unknown, padding: Token
    let length: Int
    /// All tokens that are found as they stand in a text.
    private(set) var addedTokens: [Token]
    private var ids: [String: Int] = [:]

    /// The number that `added_tokens_decoder` gives a token.
    func id(of token: String) -> Int? { ids[token] }

    init(folder: URL) throws {
        func read<Value: Decodable>(_ name: String, as type: Value.Type) throws -> Value? {
            let file = folder.appendingPathComponent(name)
            guard FileManager.default.fileExists(atPath: file.path) else { return nil }
            guard let data = try? Data(contentsOf: file), let value = try? JSONDecoder().decode(type, from: data) else {
                throw ModelError.unreadable(path: file.path, reason: "it is not a tokenizer's configuration")
            }
            return value
        }
        let path = folder.appendingPathComponent("tokenizer_config.json").path
        let config = try read("tokenizer_config.json", as: Declaration.self)
        // Where the newer key is, the older file does not count.
        let map = config?.added_tokens_decoder == nil ? try read("special_tokens_map.json", as: Declaration.self) : nil
        start = map?.bos_token ?? config?.bos_token ?? Token("<|startoftext|>")
        end = map?.eos_token ?? config?.eos_token ?? Token("<|endoftext|>")
        unknown = map?.unk_token ?? config?.unk_token ?? Token("<|endoftext|>")
        padding = map?.pad_token ?? config?.pad_token ?? Token("<|endoftext|>")
        guard config?.do_lower_case ?? true else {
            throw ModelError.unsupported(path: path, key: "do_lower_case", value: "false", supported: "true")
        }
        let most = config?.model_max_length ?? 77
        guard let length = Int(exactly: most), 2...4096 ~= length else {
            throw ModelError.invalid(path: path, key: "model_max_length", expected: "a number of tokens from 2 to 4096")
        }
        self.length = length

        addedTokens = []
        for (number, token) in config?.added_tokens_decoder ?? [:] {
            guard let id = Int(number), 0..<(1 << 24) ~= id else {
                throw ModelError.invalid(
                    path: path, key: "added_tokens_decoder", expected: "an object of numbers and tokens")
            }
            ids[token.content] = id
            addedTokens.append(token)
        }
        for token in [start, end, unknown, padding] where !addedTokens.contains(where: { $0.content == token.content })
        {
            addedTokens.append(token)
        }
        if let token = addedTokens.first(where: { !$0.rules.isEmpty }) {
            throw ModelError.unsupported(
                path: path, key: token.rules[0], value: "true for \(token.content)", supported: "false")
        }
        if let more = try read("added_tokens.json", as: [String: Int].self)?.keys.first(where: { name in
            !addedTokens.contains { $0.content == name }
        }) {
            throw ModelError.unsupported(
                path: folder.appendingPathComponent("added_tokens.json").path, key: more, value: "an added token",
                supported: "CLIP's own tokens")
        }
    }
}
