import Foundation
import Subprocess
import Testing

public let pythonIsInstalled = program("python3") != nil && program("curl") != nil

/// For `.enabled(if:)`: these tests run a server in Python and fetch with curl.
public let needsPythonAndCurl: Comment = "python3 or curl is not installed; run `apt-get install python3 curl`"

/// A hub on this machine, made of a folder of repositories; Hub/hub.py says what it does and how it can misbehave.
public struct LocalHub: Sendable {
    public let folder: TemporaryFolder
    /// The hub itself.
    public let port: Int
    /// The second server, to which large files are redirected.
    public let otherPort: Int
    public static let commit = "0123456789abcdef0123456789abcdef01234567"

    public var endpoint: String { "http://127.0.0.1:\(port)" }

    /// Starts the hub on a folder that `fill` fills, and ends it after `body`.
    public static func run(
        _ fill: (URL) throws -> Void, _ body: (LocalHub) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder("hub")
        try fill(URL(fileURLWithPath: folder.path))
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Hub/hub.py")
            .path
        // It ends when its standard input does, which is when this closure returns or this process dies.
        _ = try await Subprocess.run(
            .name("python3"), arguments: ["-u", script, folder.path], input: .inputWriter, output: .sequence,
            error: .discarded
        ) { execution in
            var text = ""
            for try await buffer in execution.standardOutput {
                text += buffer.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
                if text.contains("\n") { break }
            }
            let ports = text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
            try #require(ports.count == 2, "\(text)")
            do {
                try await body(LocalHub(folder: folder, port: ports[0], otherPort: ports[1]))
            } catch {
                try? await execution.standardInputWriter.finish()
                throw error
            }
            try await execution.standardInputWriter.finish()
        }
    }

    /// How to answer requests for a path: each takes the next step, and the last one stays. `{}` is good behaviour.
    public func behave(_ steps: [String: [String]]) throws {
        let text = "{" + steps.map { "\"\($0)\": [\($1.joined(separator: ", "))]" }.joined(separator: ", ") + "}"
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.file("behaviour.json")), options: .atomic)
    }

    /// One request that was made.
    public struct Request: Decodable, Sendable {
        public let server: String
        public let method: String
        public let path: String
        public let host: String
        public let range: String?
        public let authorization: String?
    }

    /// All requests so far, in order.
    public func requests() throws -> [Request] {
        let text =
            FileManager.default.contents(atPath: folder.file("log.jsonl")).map { String(decoding: $0, as: UTF8.self) }
            ?? ""
        return try text.split(separator: "\n").map { try JSONDecoder().decode(Request.self, from: Data($0.utf8)) }
    }

    public func forgetRequests() { try? FileManager.default.removeItem(atPath: folder.file("log.jsonl")) }

    /// The bytes of a file of the hub.
    public func content(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: folder.file(path))) }
}
