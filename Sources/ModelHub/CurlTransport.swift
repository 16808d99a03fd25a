import Foundation
import Subprocess

#if canImport(System)
import System
#else
import SystemPackage
#endif

/// Requests through the program curl, one process each.
///
/// curl knows proxies, certificates and stalled lines, is on every machine or a package away, and costs the build nothing. Requests are
/// its standard input, so that a token shows in no list of processes; the user's own `.curlrc` is left out.
public struct CurlTransport: HTTPTransport {
    private let program: String
    private let agent: String

    public init(program: String = "curl", agent: String = "visionxl/0.1.0") {
        self.program = program
        self.agent = agent
    }

    public func send(_ request: HTTPRequest, receive: (HTTPPart) throws -> Void) async throws {
        var options = PlatformOptions()
        // Ctrl-C is for this program: it ends curl itself.
        options.processGroupID = 0
        let configuration = Configuration(
            executable: .name(program), arguments: ["--disable", "--config", "-"], platformOptions: options)
        var reader = HTTPHeadReader()
        let settings = try Self.unnamedFile(holding: settings(for: request))
        do {
            let result = try await run(
                configuration, input: .fileDescriptor(settings, closeAfterSpawningProcess: true), output: .sequence,
                error: .string(limit: 1 << 16)
            ) { execution in
                for try await buffer in execution.standardOutput {
                    try buffer.withUnsafeBytes { try reader.take($0, receive: receive) }
                }
            }
            try Task.checkCancellation()
            if !result.terminationStatus.isSuccess {
                throw Self.failure(result.terminationStatus, messages: result.standardError)
            }
        } catch let error as SubprocessError {
            try Task.checkCancellation()
            throw error.code == .executableNotFound
                ? HubError.curlMissing : TransportFailure("curl could not be run: \(error)", isTransient: false)
        }
        guard reader.isComplete else { throw TransportFailure("the server sent nothing", isTransient: true) }
    }

    /// The request as lines of a curl configuration file.
    func settings(for request: HTTPRequest) throws -> String {
        var lines = [
            "silent", "show-error", "include", "suppress-connect-headers", "globoff", "http1.1",
            "proto = \"=http,https\"",
            "connect-timeout = 30",
            // A line that says nothing for a minute is dead.
            "speed-limit = 1", "speed-time = 60", "user-agent = \(try Self.quoted(agent))",
        ]
        if request.method == .head { lines.append("head") }
        for (name, value) in request.headers.sorted(by: { $0.key < $1.key }) {
            lines.append("header = \(try Self.quoted("\(name): \(value)"))")
        }
        lines.append("url = \(try Self.quoted(request.url.absoluteString))")
        return lines.joined(separator: "\n") + "\n"
    }

    /// A file without a name, open at its beginning, for this user's eyes only.
    ///
    /// Not a pipe: with one, a curl that has gone before it took everything would end this program (SIGPIPE, and swift-subprocess 1.0
    /// insists on having closed its end).
    private static func unnamedFile(holding text: String) throws -> FileDescriptor {
        var template = Array((NSTemporaryDirectory() + "/visionxl-request-XXXXXX").utf8CString)
        let number = mkstemp(&template)
        guard number >= 0 else {
            throw HubError.file(path: NSTemporaryDirectory(), reason: String(cString: strerror(errno)))
        }
        unlink(template)
        _ = fcntl(number, F_SETFD, FD_CLOEXEC)
        let file = FileDescriptor(rawValue: number)
        do {
            try file.writeAll(text.utf8)
            try file.seek(offset: 0, from: .start)
        } catch {
            try? file.close()
            throw HubError.file(path: NSTemporaryDirectory(), reason: "\(error)")
        }
        return file
    }

    private static func quoted(_ text: String) throws -> String {
        guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
            throw TransportFailure("a request with control characters is not sent", isTransient: false)
        }
        return "\"" + text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
            + "\""
    }

    /// curl's exit codes: 1 to 4 are about the request, 58 to 83 about certificates; the rest comes and goes.
    private static func failure(_ status: TerminationStatus, messages: String) -> TransportFailure {
        // "curl: (6) Could not resolve host: …"
        let line = messages.split(whereSeparator: \.isNewline).first.map(String.init) ?? "curl: \(status)"
        let reason = line.firstRange(of: ") ").map { String(line[$0.upperBound...]) } ?? line
        guard case .exited(let code) = status else { return TransportFailure(reason, isTransient: true) }
        return TransportFailure(
            reason, isTransient: ![1, 2, 3, 4, 43, 48, 53, 58, 59, 60, 66, 77, 82, 83, 90, 91].contains(code))
    }
}
