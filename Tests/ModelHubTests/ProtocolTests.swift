import Foundation
import Synchronization
import TestSupport
import Testing

@testable import ModelHub

/// Names, settings and the protocol, without a server.
@Suite struct ProtocolTests {
    @Test func names() throws {
        #expect(try ModelName("sdxl") == .sdxl)
        #expect(try ModelName("a/b.c") == .repository(HubRepository(owner: "a", name: "b.c")))
        #expect(
            try ModelName("a/b@refs/pr/1") == .repository(HubRepository(owner: "a", name: "b", revision: "refs/pr/1")))
        #expect(try ModelName("https://host/models/x/") == .address(try #require(URL(string: "https://host/models/x"))))
        #expect(try ModelName("a/b@v1").shortName == "a/b@v1")
        #expect(try ModelName("https://host/models/x").shortName == "x")
        for name in ["sdxl", "a/b", "a/b@v1"] {
            let folder = ModelName.folderName(of: try ModelName(name).shortName)
            #expect(!folder.contains("/") && ModelName.shortName(ofFolder: folder) == name)
        }
    }

    @Test(arguments: [
        "", "a", "a/", "/b", "a/b/c", "../b", "a/..", "a/b@", "a/b@../x", "a/b@-x", "a b/c", "a/b--c", "ä/b",
        "ftp://host/x", "https://", "https://host/x?y",
        "https://host/..", "a/b\n",
    ]) func badNames(name: String) { #expect(throws: HubError.badName(name)) { try ModelName(name) } }

    /// The variables mean what they mean in Python's huggingface_hub.
    @Test func environment() throws {
        func cache(_ variables: [String: String]) throws -> String {
            try HubEnvironment(["HOME": "/h"].merging(variables) { $1 }).cache.path
        }
        #expect(try cache([:]) == "/h/.cache/huggingface/hub")
        #expect(try cache(["XDG_CACHE_HOME": "/x"]) == "/x/huggingface/hub")
        #expect(try cache(["XDG_CACHE_HOME": "/x", "HF_HOME": "~/y"]) == "/h/y/hub")
        #expect(try cache(["HF_HOME": "/y", "HF_HUB_CACHE": "/z"]) == "/z")
        #expect(try cache(["HF_HOME": "/y", "HUGGINGFACE_HUB_CACHE": "/w"]) == "/w")
        let plain = try HubEnvironment(["HOME": "/h"])
        #expect(plain.endpoint.absoluteString == "https://huggingface.co" && plain.token == nil && !plain.isOffline)
        #expect(
            try HubEnvironment(["HF_ENDPOINT": "https://mirror/hub/"]).endpoint.absoluteString == "https://mirror/hub")
        #expect(throws: HubError.badEndpoint("mirror")) { try HubEnvironment(["HF_ENDPOINT": "mirror"]) }
        for (value, isOffline) in [("1", true), ("true", true), ("YES", true), ("0", false), ("", false)] {
            #expect(try HubEnvironment(["HF_HUB_OFFLINE": value]).isOffline == isOffline)
        }
    }

    @Test func tokens() throws {
        let folder = try TemporaryFolder("token")
        try Data(" stored\n".utf8).write(to: URL(fileURLWithPath: folder.file("token")))
        try Data("other\n".utf8).write(to: URL(fileURLWithPath: folder.file("elsewhere")))
        let home = ["HF_HOME": folder.path]
        #expect(try HubEnvironment(home).token == "stored")
        #expect(try HubEnvironment(home.merging(["HF_TOKEN_PATH": folder.file("elsewhere")]) { $1 }).token == "other")
        #expect(try HubEnvironment(home.merging(["HF_TOKEN": " said "]) { $1 }).token == "said")
        #expect(try HubEnvironment(home.merging(["HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"]) { $1 }).token == nil)
    }

    // MARK: Heads

    @Test(arguments: [1, 2, 7, 1000]) func headsHoweverTheyAreCut(pieces: Int) throws {
        let text =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 Partial Content\r\nContent-Length: 9\r\nETag:\"a:b\"\r\n\r\nbo\r\n\r\ndy\n"
        var reader = HTTPHeadReader()
        var heads: [HTTPHead] = [], body: [UInt8] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            try bytes[start..<min(start + pieces, bytes.count)].withUnsafeBytes { piece in
                try reader.take(piece) { part in
                    switch part {
                    case .head(let head): heads.append(head)
                    case .body(let bytes): body.append(contentsOf: bytes)
                    }
                }
            }
        }
        #expect(heads == [HTTPHead(status: 206, fields: ["content-length": "9", "etag": "\"a:b\""])])
        #expect(String(decoding: body, as: UTF8.self) == "bo\r\n\r\ndy\n")
    }

    @Test func notHTTP() {
        var reader = HTTPHeadReader()
        #expect(throws: TransportFailure.self) {
            try Array("SSH-2.0\r\n\r\n".utf8).withUnsafeBytes { try reader.take($0) { _ in } }
        }
    }

    @Test func waits() {
        let now = Date(timeIntervalSince1970: 1_445_412_470)
        func wait(_ fields: [String: String], status: Int = 429) -> Double? {
            HubClient.wait(HTTPHead(status: status, fields: fields), now: now)
        }
        #expect(wait(["retry-after": "7"]) == 7)
        #expect(wait(["retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"]) == 10)
        #expect(wait(["ratelimit": "\"api\";r=0;t=42"]) == 42)
        #expect(wait(["retry-after": "soon"]) == nil && wait([:]) == nil)
    }

    /// Requests go to curl on its standard input, where nothing can end a line early.
    @Test func curlSettings() throws {
        let url = try #require(URL(string: "http://host/a%20b"))
        let text = try CurlTransport().settings(for: HTTPRequest(.head, url, headers: ["X": #"a"b\c"#]))
        #expect(
            text.contains(#"header = "X: a\"b\\c""#) && text.contains("url = \"http://host/a%20b\"")
                && text.contains("\nhead\n"))
        #expect(throws: TransportFailure.self) {
            try CurlTransport().settings(for: HTTPRequest(.get, url, headers: ["X": "a\nurl = b"]))
        }
    }

    /// A curl that takes nothing of its request, as one that is killed at its start, is a failure and no crash.
    @Test func aTransportThatHearsNothing() async throws {
        let url = try #require(URL(string: "http://127.0.0.1:1/"))
        // Larger than a pipe.
        let headers = ["X": String(repeating: "x", count: 1 << 20)]
        for headers in [headers, [:]] {
            await withTaskGroup { group in
                for _ in 0..<8 {
                    group.addTask {
                        await #expect(throws: TransportFailure.self) {
                            try await CurlTransport(program: "false").send(HTTPRequest(.get, url, headers: headers)) {
                                _ in
                            }
                        }
                    }
                }
            }
        }
    }

    @Test func curlIsMissing() async throws {
        let url = try #require(URL(string: "http://127.0.0.1:1/"))
        await #expect(throws: HubError.curlMissing) {
            try await CurlTransport(program: "no-such-program").send(HTTPRequest(.get, url)) { _ in }
        }
    }

    // MARK: Redirects

    /// Answers by address, and remembers what it was asked.
    private final class Script: HTTPTransport {
        let answers: [String: HTTPHead]
        let asked = Mutex<[HTTPRequest]>([])
        init(_ answers: [String: HTTPHead]) { self.answers = answers }
        func send(_ request: HTTPRequest, receive: (HTTPPart) throws -> Void) async throws {
            asked.withLock { $0.append(request) }
            try receive(.head(answers[request.url.absoluteString] ?? HTTPHead(status: 404)))
        }
    }

    private func client(_ transport: Script) throws -> HubClient {
        HubClient(
            transport: transport, token: "secret", home: Origin(try #require(URL(string: "https://hub"))),
            retry: RetryPolicy(), report: { _ in })
    }

    private func reply(_ transport: Script, to address: String) async throws -> HubReply? {
        try await client(transport).head(of: try #require(URL(string: address)), subject: "test") { _ in nil }
    }

    /// Another host, another port, another scheme: none is the hub. Back at the hub the token is shown again.
    @Test func whoIsShownTheToken() async throws {
        let script = Script([
            "https://hub/a": HTTPHead(status: 302, fields: ["location": "https://hub.evil/b", "x-linked-size": "5"]),
            "https://hub.evil/b": HTTPHead(status: 307, fields: ["location": "https://hub:444/c"]),
            "https://hub:444/c": HTTPHead(status: 301, fields: ["location": "https://HUB:443/d/e"]),
            "https://HUB:443/d/e": HTTPHead(status: 308, fields: ["location": "../f"]),
            "https://HUB:443/f": HTTPHead(status: 200, fields: ["x-linked-size": "6"]),
        ])
        let reply = try #require(try await reply(script, to: "https://hub/a"))
        // The first server knows the file.
        #expect(reply.linked.number("x-linked-size") == 5)
        let shown = script.asked.withLock { $0.map { $0.headers["Authorization"] != nil } }
        #expect(shown == [true, false, false, true, true])
    }

    @Test(arguments: [
        ("http://hub/b", "it leaves https"), ("file:///etc/passwd", "it leaves https"),
        ("https://hub/a", "it does not end"), ("", "it names no address"),
    ]) func badRedirects(location: String, reason: String) async throws {
        let script = Script([
            "https://hub/a": HTTPHead(status: 302, fields: location.isEmpty ? [:] : ["location": location])
        ])
        let error = try await #require(throws: HubError.self) { _ = try await reply(script, to: "https://hub/a") }
        guard case .badRedirect(_, let found) = error else { return unexpected("\(error)") }
        #expect(found.contains(reason))
    }
}
