import Foundation

/// What can be fetched: Stable Diffusion XL by its short name, a repository of the hub, or a folder that a web server shows.
public enum ModelName: Sendable, Hashable {
    /// Stable Diffusion XL with the autoencoder that float16 does not overflow.
    case sdxl
    case repository(HubRepository)
    /// The address of a folder in diffusers' layout, without a slash at its end.
    case address(URL)

    /// Reads `sdxl`, `owner/name`, `owner/name@revision` or an address.
    public init(_ text: String) throws(HubError) {
        if text == "sdxl" {
            self = .sdxl
        } else if text.contains("://") {
            var address = text
            while address.hasSuffix("/") { address.removeLast() }
            guard let url = URL(string: address), Origin(url) != nil, url.query == nil, url.fragment == nil,
                HubRepository.isPlain(Self.lastComponent(url))
            else { throw .badName(text) }
            self = .address(url)
        } else {
            self = .repository(try HubRepository(text))
        }
    }

    /// The name by which the model is opened once it is there: `sdxl`, `owner/name@revision`, or the address's last part.
    public var shortName: String {
        switch self {
        case .sdxl: "sdxl"
        case .repository(let repository): repository.description
        case .address(let url): Self.lastComponent(url)
        }
    }

    private static func lastComponent(_ url: URL) -> String {
        url.path.split(separator: "/").last.map(String.init) ?? ""
    }

    /// The folder of a model of that name among the fetched ones. It has no slash, as the hub's own folders have none.
    public static func folderName(of shortName: String) -> String {
        shortName.replacingOccurrences(of: "/", with: "--")
    }

    /// The name of the model in a folder of that name.
    public static func shortName(ofFolder name: String) -> String { name.replacingOccurrences(of: "--", with: "/") }
}

/// A repository of the hub at a revision.
public struct HubRepository: Sendable, Hashable, CustomStringConvertible {
    public let owner: String
    public let name: String
    /// A branch, a tag or a commit.
    public let revision: String

    static let defaultRevision = "main"

    public init(owner: String, name: String, revision: String = "main") {
        self.owner = owner
        self.name = name
        self.revision = revision
    }

    /// Reads `owner/name` or `owner/name@revision`.
    public init(_ text: String) throws(HubError) {
        let halves = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let parts = halves[0].split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let revision = halves.count == 2 ? halves[1] : Self.defaultRevision
        // The cache's folders need "--" for themselves.
        guard parts.count == 2, parts.allSatisfy({ Self.isPlain($0) && !$0.contains("--") }),
            revision.split(separator: "/", omittingEmptySubsequences: false).allSatisfy({
                Self.isPlain(String($0)) && !$0.contains("--")
            })
        else { throw .badName(text) }
        self.init(owner: parts[0], name: parts[1], revision: revision)
    }

    /// `owner/name`.
    public var path: String { "\(owner)/\(name)" }

    public var description: String { revision == Self.defaultRevision ? path : "\(path)@\(revision)" }

    /// Whether `text` can be a file's name anywhere: letters, digits, `.`, `_` and `-`, and neither a hidden one nor an option.
    static func isPlain(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 96 && text.first != "." && text.first != "-"
            && text.utf8.allSatisfy { isalnum(Int32($0)) != 0 && $0 < 0x80 || [0x2D, 0x2E, 0x5F].contains($0) }
    }
}
