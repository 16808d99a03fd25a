import Foundation

/// How often and after what pause a request is sent again.
public struct RetryPolicy: Sendable {
    /// Attempts in a row that bring nothing; one that brings bytes starts the count anew.
    public var attempts: Int
    /// Seconds before the second attempt; doubled before each further one.
    public var firstDelay: Double
    /// The longest pause that a server may ask for, in seconds.
    public var longestWait: Double

    public init(attempts: Int = 5, firstDelay: Double = 1, longestWait: Double = 600) {
        self.attempts = attempts
        self.firstDelay = firstDelay
        self.longestWait = longestWait
    }
}

/// A failure that another attempt may mend.
struct TransientFailure: Error {
    var reason: String
    /// What to say if it stays.
    var error: HubError
    /// Seconds that the server asked for.
    var wait: Double?
    /// Whether bytes came before it.
    var progressed = false
}

/// A reply after all redirects. `linked` has what the first server said of the file itself, over as many redirects as stayed there: hash,
/// size, commit.
struct HubReply {
    var head: HTTPHead
    var linked: HTTPHead
}

/// Requests to the hub: the token where it belongs and nowhere else, redirects, pauses and repetitions.
struct HubClient: Sendable {
    let transport: any HTTPTransport
    let token: String?
    /// The only server that is shown the token.
    let home: Origin?
    let retry: RetryPolicy
    let report: @Sendable (PullEvent) -> Void

    private static let redirectLimit = 10

    /// Sends a request, follows redirects, and hands the final reply's parts to `receive`, whatever its status.
    /// - Throws: `TransientFailure` where the line broke; what `receive` throws.
    func exchange(_ first: HTTPRequest, receive: (HubReply, UnsafeRawBufferPointer?) throws -> Void) async throws {
        var url = first.url
        var linked: HTTPHead?
        var hasLeft = false
        for _ in 0..<Self.redirectLimit {
            guard let origin = Origin(url) else {
                throw HubError.badRedirect(url: first.url.absoluteString, reason: "it leads to \(url)")
            }
            var request = first
            request.url = url
            hasLeft = hasLeft || origin != Origin(first.url)
            let isFirst = !hasLeft
            // Asked as it is, so that sizes and ranges are those of the file.
            request.headers["Accept-Encoding"] = "identity"
            if let token, origin == home { request.headers["Authorization"] = "Bearer \(token)" }
            var reply: HubReply?
            do {
                try await transport.send(request) { part in
                    switch part {
                    case .head(let head):
                        if isFirst {
                            linked = HTTPHead(
                                status: head.status, fields: (linked?.fields ?? [:]).merging(head.fields) { $1 })
                        }
                        reply = HubReply(head: head, linked: linked ?? head)
                        if !Self.isRedirect(head) { try receive(HubReply(head: head, linked: linked ?? head), nil) }
                    case .body(let bytes):
                        guard let reply else { return }
                        if !Self.isRedirect(reply.head) { try receive(reply, bytes) }
                    }
                }
            } catch let failure as TransportFailure {
                let error = HubError.unreachable(host: origin.description, reason: failure.reason)
                throw failure.isTransient ? TransientFailure(reason: failure.reason, error: error) : error
            }
            guard let head = reply?.head, Self.isRedirect(head) else { return }
            guard let location = head["location"], let next = URL(string: location, relativeTo: url)?.absoluteURL else {
                throw HubError.badRedirect(url: url.absoluteString, reason: "it names no address")
            }
            if url.scheme?.lowercased() == "https", next.scheme?.lowercased() != "https" {
                throw HubError.badRedirect(url: url.absoluteString, reason: "it leaves https")
            }
            url = next
        }
        throw HubError.badRedirect(url: first.url.absoluteString, reason: "it does not end")
    }

    private static func isRedirect(_ head: HTTPHead) -> Bool { [301, 302, 303, 307, 308].contains(head.status) }

    /// The body of a reply in memory, at most `limit` bytes; sent again as the policy says.
    func data(
        _ url: URL, subject: String, limit: Int = 1 << 26, problem: @escaping (HTTPHead) -> HubError?
    ) async throws -> (HubReply, Data) {
        try await repeating(subject) {
            var body = Data()
            var answer: HubReply?
            try await exchange(HTTPRequest(.get, url)) { reply, bytes in
                if let bytes {
                    body.append(contentsOf: bytes)
                    guard body.count <= limit else {
                        throw HubError.badAnswer(url: url.absoluteString, reason: "it is too long")
                    }
                } else {
                    try check(reply.head, url: url, problem: problem)
                    answer = reply
                }
            }
            guard let answer else { throw HubError.badAnswer(url: url.absoluteString, reason: "it is empty") }
            if let length = answer.head.number("content-length"), body.count < length {
                throw TransientFailure(
                    reason: "the line broke",
                    error: .unreachable(host: url.host ?? "", reason: "the connection was closed too early"))
            }
            return (answer, body)
        }
    }

    /// What a server says of a file without sending it; nil where there is none (404).
    func head(of url: URL, subject: String, problem: @escaping (HTTPHead) -> HubError?) async throws -> HubReply? {
        try await repeating(subject) {
            var answer: HubReply?
            try await exchange(HTTPRequest(.head, url)) { reply, bytes in
                guard bytes == nil, reply.head.status != 404 else { return }
                try check(reply.head, url: url, problem: problem)
                answer = reply
            }
            return answer
        }
    }

    /// Turns a status that is not one of success into an error: `problem`'s own, or one that another attempt may mend.
    func check(_ head: HTTPHead, url: URL, problem: (HTTPHead) -> HubError?) throws {
        if (200..<300).contains(head.status) { return }
        if let error = problem(head) { throw error }
        let host = Origin(url).map(String.init(describing:)) ?? url.absoluteString
        let error = HubError.refused(host: host, status: head.status, reason: head["x-error-message"] ?? "")
        guard head.status == 429 || head.status == 408 || head.status >= 500 else {
            throw head.status == 404 ? HubError.noSuchFile(url: url.absoluteString) : error
        }
        let wait = Self.wait(head)
        if let wait, wait > retry.longestWait { throw HubError.waitTooLong(host: host, seconds: Int(wait)) }
        throw TransientFailure(reason: "\(host) answered \(head.status)", error: error, wait: wait)
    }

    /// Seconds that a reply asks to wait: `Retry-After` in seconds or as a date, or `t=` in the hub's `RateLimit`.
    static func wait(_ head: HTTPHead, now: Date = Date()) -> Double? {
        if let text = head["retry-after"] {
            if let seconds = Double(text), seconds.isFinite, seconds >= 0 { return seconds }
            let format = DateFormatter()
            format.locale = Locale(identifier: "en_US_POSIX")
            format.timeZone = TimeZone(identifier: "GMT")
            format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
            if let date = format.date(from: text) { return max(date.timeIntervalSince(now), 0) }
        }
        guard head.status == 429, let limit = head["ratelimit"] else { return nil }
        let parts = limit.split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces) }
        return parts.first { $0.hasPrefix("t=") }.flatMap { Double($0.dropFirst(2)) }
    }

    /// Runs `attempt` until it succeeds, fails for good, or has failed too often in a row.
    func repeating<Value>(_ subject: String, _ attempt: () async throws -> Value) async throws -> Value {
        var failures = 0
        while true {
            do {
                return try await attempt()
            } catch let failure as TransientFailure {
                try Task.checkCancellation()
                failures = failure.progressed ? 1 : failures + 1
                guard failures < retry.attempts else { throw failure.error }
                // Files that failed together do not come back together.
                let pause =
                    failure.wait ?? retry.firstDelay * pow(2, Double(failures - 1)) * Double.random(in: 1...1.25)
                report(.waiting(subject: subject, reason: failure.reason, seconds: pause))
                try await Task.sleep(for: .seconds(pause))
            }
        }
    }
}
