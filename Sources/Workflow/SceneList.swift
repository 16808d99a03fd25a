import Foundation

/// How it is told where scenes begin.
public enum SceneChoice: Sendable, Hashable {
    /// By a look at the whole video.
    case auto
    /// The video is one scene.
    case off
    /// By a file: the first frame of each scene, a line each, counted from 0; or PySceneDetect's .csv, which counts from 1.
    case file(String)
}

extension SceneChoice: Codable {
    public init(_ text: String) {
        switch text {
        case "auto": self = .auto
        case "off": self = .off
        default: self = .file(text)
        }
    }

    public var text: String {
        switch self {
        case .auto: "auto"
        case .off: "off"
        case .file(let path): path
        }
    }

    public init(from decoder: any Decoder) throws {
        self.init(try decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        try value.encode(text)
    }
}

/// The first frames of scenes, from a file.
enum SceneList {
    /// - Returns: frames counted from 0, in order.
    /// - Throws: `WorkflowError` with one sentence for whatever is wrong with the file.
    static func read(_ path: String) throws -> [Int] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw WorkflowError.message(
                "--scenes \(path) cannot be read; name a file with the first frame of each scene, or say auto or off.")
        }
        let lines = String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline).map {
            $0.trimmingCharacters(in: .whitespaces.union(.init(charactersIn: "\r\u{FEFF}")))
        }.filter { !$0.isEmpty }
        // What PySceneDetect writes: perhaps a line of timecodes, a line of names, a line for each scene.
        let header = lines.firstIndex { $0.contains("Start Frame") }
        var (frames, first) = (lines, 0)
        if let header {
            let names = lines[header].split(separator: ",", omittingEmptySubsequences: false)
            let column = names.firstIndex { $0.trimmingCharacters(in: .whitespaces) == "Start Frame" } ?? 0
            first = 1
            frames = lines.dropFirst(header + 1).map { line in
                let fields = line.split(separator: ",", omittingEmptySubsequences: false)
                return fields.indices.contains(column) ? String(fields[column]) : ""
            }
        }
        var result: [Int] = []
        for text in frames {
            guard let number = Int(text.trimmingCharacters(in: .whitespaces)), number >= first else {
                throw WorkflowError.message(
                    "--scenes \(path): \"\(text.prefix(40))\" is no frame; each line has the first frame of a scene, counted from "
                        + "\(first)\(first == 1 ? ", under 'Start Frame'" : "").")
            }
            if let last = result.last, number - first <= last {
                throw WorkflowError.message(
                    "--scenes \(path): frame \(number) comes behind \(last + first); put the scenes in order.")
            }
            result.append(number - first)
        }
        return result
    }
}
