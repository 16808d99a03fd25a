import Foundation

/// Where the hub is, where its files are kept and who asks: the hub's own variables, with the meaning they have in Python.
public struct HubEnvironment: Sendable {
    /// `HF_ENDPOINT`, else `https://huggingface.co`.
    public var endpoint: URL
    /// `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else `~/.cache/huggingface/hub`.
    public var cache: URL
    /// `HF_TOKEN`, else what is in the file `HF_TOKEN_PATH`, else in `token` in `HF_HOME`.
    public var token: String?
    /// `HF_HUB_OFFLINE`: nothing is asked of any server.
    public var isOffline: Bool

    /// Reads the settings from a program's variables.
    public init(_ variables: [String: String] = ProcessInfo.processInfo.environment) throws(HubError) {
        func value(_ names: String...) -> String? { names.lazy.compactMap { variables[$0] }.first { !$0.isEmpty } }
        func isSet(_ name: String) -> Bool { ["1", "ON", "YES", "TRUE"].contains(variables[name]?.uppercased() ?? "") }
        let userFolder =
            variables["HOME"].map { URL(fileURLWithPath: $0) } ?? FileManager.default.homeDirectoryForCurrentUser
        func folder(_ path: String) -> URL {
            path.hasPrefix("~/")
                ? userFolder.appendingPathComponent(String(path.dropFirst(2))) : URL(fileURLWithPath: path)
        }
        var address = value("HF_ENDPOINT") ?? "https://huggingface.co"
        while address.hasSuffix("/") { address.removeLast() }
        guard let endpoint = URL(string: address), Origin(endpoint) != nil else { throw .badEndpoint(address) }
        self.endpoint = endpoint

        let home =
            value("HF_HOME").map(folder)
            ?? (value("XDG_CACHE_HOME").map(folder) ?? userFolder.appendingPathComponent(".cache"))
            .appendingPathComponent("huggingface")
        cache = value("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE").map(folder) ?? home.appendingPathComponent("hub")
        isOffline = isSet("HF_HUB_OFFLINE") || isSet("TRANSFORMERS_OFFLINE")

        let tokenFile = value("HF_TOKEN_PATH").map(folder) ?? home.appendingPathComponent("token")
        let stored = isSet("HF_HUB_DISABLE_IMPLICIT_TOKEN") ? nil : FileManager.default.contents(atPath: tokenFile.path)
        token = [value("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"), stored.map { String(decoding: $0, as: UTF8.self) }]
            .compactMap { $0?.trimmingCharacters(in: .whitespacesAndNewlines) }.first { !$0.isEmpty }
    }
}
