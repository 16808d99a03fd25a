import Foundation

extension Problem: Codable {
    /// A key of any name.
    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Numbers may be left out where a stage has an ordinary one. A name that does not exist is refused, since a misspelt one would silently
    /// change the problem. What earlier versions wrote (`{"scale": 4}`) is read, too.
    /// - Throws: `ProblemError.invalidParameter` for unknown names and for stages that are not written as they should be,
    ///   `DecodingError` for what is no problem at all.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        let stagesKey = Key(stringValue: "stages")
        guard container.contains(stagesKey) else {
            self = try Self(flat: decoder, names: container.allKeys.map(\.stringValue))
            return
        }
        if let other = container.allKeys.first(where: { $0.stringValue != "stages" }) {
            throw ProblemError.invalidParameter("A problem has no '\(other.stringValue)'; it has stages.")
        }
        func read<Value>(_ part: () throws -> Value) throws -> Value {
            do { return try part() } catch is DecodingError {
                throw ProblemError.invalidParameter(
                    #"The stages of a problem are a list, of names with numbers behind them: [{"shrink": {"factor": 4}}]."#
                )
            }
        }
        stages = []
        var list = try read { try container.nestedUnkeyedContainer(forKey: stagesKey) }
        while !list.isAtEnd {
            let entry = try read { try list.nestedContainer(keyedBy: Key.self) }
            guard entry.allKeys.count == 1, let name = entry.allKeys.first else {
                throw ProblemError.invalidParameter(
                    "Each stage of a problem has one name with its numbers behind it; one has \(entry.allKeys.count) names."
                )
            }
            guard let kind = Self.kinds.first(where: { $0.kind == name.stringValue }) else {
                let known = Self.kinds.map { $0.kind }.joined(separator: ", ")
                throw ProblemError.invalidParameter("There is no stage '\(name.stringValue)'; the stages are \(known).")
            }
            stages.append(try Self.decode(kind, entry, name))
        }
    }

    private static func decode<S: Stage>(_ kind: S.Type, _ entry: KeyedDecodingContainer<Key>, _ name: Key) throws -> S
    {
        let stage: S
        do {
            stage = try entry.decode(S.self, forKey: name)
        } catch {
            throw ProblemError.invalidParameter(sentence(error, stage: S.kind))
        }
        // What an encoder leaves out is a part, too.
        let known = Mirror(reflecting: stage).children.compactMap(\.label)
        let said = try entry.nestedContainer(keyedBy: Key.self, forKey: name).allKeys.map(\.stringValue)
        if let other = said.first(where: { !known.contains($0) }) {
            throw ProblemError.invalidParameter(
                "The stage '\(S.kind)' has no '\(other)'; its parts are \(known.joined(separator: ", ")).")
        }
        return stage
    }

    /// What is wrong with a stage's numbers.
    private static func sentence(_ error: any Error, stage: String) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _):
            return "The stage '\(stage)' lacks its '\(key.stringValue)'; add it."
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context):
            guard let part = context.codingPath.last?.stringValue, part != stage else {
                return "The stage '\(stage)' has its numbers in braces behind it, as {\"\(stage)\": {...}}."
            }
            return "The stage '\(stage)' cannot have this '\(part)'; it has another type, or there is no such value."
        default:
            // Foundation keeps to itself which number it was.
            return "The stage '\(stage)' has a number that it cannot have; what is counted are whole numbers from 0 on."
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        var list = container.nestedUnkeyedContainer(forKey: Key(stringValue: "stages"))
        func encode(_ stage: some Stage) throws {
            var entry = list.nestedContainer(keyedBy: Key.self)
            try entry.encode(stage, forKey: Key(stringValue: type(of: stage).kind))
        }
        for stage in stages { try encode(stage) }
    }
}

extension Problem {
    /// As versions before stages had it: a few numbers, in a fixed order.
    private enum FlatKeys: String, CodingKey, CaseIterable {
        case scale, blurSigma, blurSize, blurBoundary, maskRatio, maskSeed, maskFile, averageWindow, averageBoundary
    }

    private init(flat decoder: any Decoder, names: [String]) throws {
        let known = FlatKeys.allCases.map(\.rawValue)
        if let name = names.first(where: { !known.contains($0) }) {
            throw ProblemError.invalidParameter(
                "A problem has no '\(name)'; it has stages, or as earlier versions wrote it "
                    + "\(known.joined(separator: ", "))."
            )
        }
        let values = try decoder.container(keyedBy: FlatKeys.self)
        func value<Value: Decodable>(_ key: FlatKeys) throws -> Value? {
            try values.decodeIfPresent(Value.self, forKey: key)
        }
        stages = []
        if let frames: Int = try value(.averageWindow) {
            stages.append(Average(frames: frames, boundary: try value(.averageBoundary) ?? .circular))
        }
        if let sigma: Double = try value(.blurSigma) {
            stages.append(
                Blur(
                    sigma: sigma, size: try value(.blurSize) ?? Blur.ordinarySize,
                    boundary: try value(.blurBoundary) ?? .reflect))
        }
        if let factor: Int = try value(.scale) { stages.append(Shrink(factor: factor)) }
        if let file: String = try value(.maskFile) {
            stages.append(Holes(file: file))
        } else if let ratio: Double = try value(.maskRatio) {
            stages.append(Holes(ratio: ratio, seed: try value(.maskSeed) ?? 0))
        }
    }
}
