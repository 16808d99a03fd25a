import Foundation

/// One request. The reply's redirects are not followed: whoever asks decides where to.
public struct HTTPRequest: Sendable, Equatable {
    public enum Method: String, Sendable { case get = "GET", head = "HEAD" }

    public var method: Method = .get
    public var url: URL
    public var headers: [String: String] = [:]

    public init(_ method: Method = .get, _ url: URL, headers: [String: String] = [:]) {
        self.method = method
        self.url = url
        self.headers = headers
    }
}

/// How a reply begins: its status and its fields, whose names are in lower case. Of a repeated field the last one counts.
public struct HTTPHead: Sendable, Equatable {
    public var status: Int
    public var fields: [String: String]

    public init(status: Int, fields: [String: String] = [:]) {
        self.status = status
        self.fields = fields
    }

    subscript(_ name: String) -> String? { fields[name] }

    /// The number in a field that holds nothing but one.
    func number(_ name: String) -> Int? { fields[name].flatMap { Int($0) } }
}

/// A reply as it comes in: its head once, then its body in pieces.
public enum HTTPPart {
    case head(HTTPHead)
    case body(UnsafeRawBufferPointer)
}

/// What carries requests: curl, or a test's own.
public protocol HTTPTransport: Sendable {
    /// Sends `request` and hands over the reply's parts in order; what `receive` throws ends the transfer and is thrown on.
    /// - Throws: `TransportFailure` where there is no whole reply.
    func send(_ request: HTTPRequest, receive: (HTTPPart) throws -> Void) async throws
}

/// Why there was no reply, or only a part of one.
public struct TransportFailure: Error, Sendable, Equatable {
    /// In the transport's words.
    public var reason: String
    /// Whether another attempt may do better.
    public var isTransient: Bool

    public init(_ reason: String, isTransient: Bool) {
        self.reason = reason
        self.isTransient = isTransient
    }
}

/// Scheme, host and port: what a token is for.
struct Origin: Hashable, CustomStringConvertible {
    let scheme: String
    let host: String
    let port: Int

    init?(_ url: URL) {
        guard let scheme = url.scheme?.lowercased(), scheme == "http" || scheme == "https",
            let host = url.host?.lowercased(), !host.isEmpty
        else { return nil }
        self.scheme = scheme
        self.host = host
        port = url.port ?? (scheme == "https" ? 443 : 80)
    }

    var description: String { port == (scheme == "https" ? 443 : 80) ? host : "\(host):\(port)" }
}

/// Reads heads out of a stream of bytes: `HTTP/1.1 200 OK`, fields, an empty line, the body.
struct HTTPHeadReader {
    private var pending: [UInt8] = []
    private var isInBody = false
    private static let limit = 1 << 18

    mutating func take(_ bytes: UnsafeRawBufferPointer, receive: (HTTPPart) throws -> Void) throws {
        if isInBody { return try receive(.body(bytes)) }
        pending.append(contentsOf: bytes)
        while let end = Self.end(of: pending) {
            let head = try Self.head(pending[..<end])
            pending.removeFirst(end)
            // An interim reply comes before the real one.
            if head.status < 200 { continue }
            isInBody = true
            try receive(.head(head))
            let first = pending
            pending = []
            if !first.isEmpty { try first.withUnsafeBytes { try receive(.body($0)) } }
            return
        }
        guard pending.count < Self.limit else {
            throw TransportFailure("the reply's head does not end", isTransient: false)
        }
    }

    /// Whether a head has been read.
    var isComplete: Bool { isInBody }

    /// The index behind the empty line.
    private static func end(of bytes: [UInt8]) -> Int? {
        var lineLength = 0
        for (index, byte) in bytes.enumerated() {
            switch byte {
            case 0x0A:
                if lineLength == 0 { return index + 1 }
                lineLength = 0
            case 0x0D: continue
            default: lineLength += 1
            }
        }
        return nil
    }

    private static func head(_ bytes: ArraySlice<UInt8>) throws -> HTTPHead {
        let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count >= 2, words[0].hasPrefix("HTTP/"), let status = Int(words[1]), (100..<1000).contains(status)
        else {
            throw TransportFailure("the server does not speak HTTP", isTransient: false)
        }
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        return HTTPHead(status: status, fields: fields)
    }
}
