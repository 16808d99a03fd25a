import Foundation

/// What can go wrong when a model is fetched. Each description is a sentence that says what to do.
public enum HubError: Error, Sendable, Equatable, CustomStringConvertible, LocalizedError {
    // Settings and names.
    case badName(String)
    case badEndpoint(String)
    case curlMissing
    case checksumToolMissing(String)

    // What the server says.
    case noSuchModel(model: String, host: String)
    case noSuchRevision(model: String, revision: String)
    case noSuchFile(url: String)
    case denied(model: String, status: Int, page: String)
    case unreachable(host: String, reason: String)
    case refused(host: String, status: Int, reason: String)
    case waitTooLong(host: String, seconds: Int)
    case badAnswer(url: String, reason: String)
    case badRedirect(url: String, reason: String)

    // What is in the repository.
    case incompleteModel(model: String, lacks: String)
    case singleFiles(model: String, files: [String])
    case lacksFile(model: String, file: String)
    case badFileName(String)
    case pickleOnly(model: String, component: String)

    // Files.
    case wrongSize(file: String, expected: Int, found: Int)
    case wrongBytes(file: String, expected: String, found: String)
    case noSpace(folder: String, needed: Int, free: Int)
    case notInCache(model: String, lacks: String, cache: String)
    case differs(path: String)
    case notALink(path: String)
    case damagedCache(path: String)
    case inUse(folder: String)
    case file(path: String, reason: String)

    /// Whether a file came whole and is not what was announced.
    var isOfBytes: Bool {
        switch self {
        case .wrongSize, .wrongBytes: true
        default: false
        }
    }

    public var errorDescription: String? { description }

    public var description: String {
        switch self {
        case .badName(let name):
            "\"\(printable(name))\" is not the name of a model; say sdxl, owner/name, owner/name@revision, or an address that begins with https://."
        case .badEndpoint(let text):
            "HF_ENDPOINT is \"\(printable(text))\", which is not a web address; correct it or unset it."
        case .curlMissing:
            "curl was not found, which fetches models; install it (apt-get install curl) and run the same command again."
        case .checksumToolMissing(let name):
            "\(name) was not found, which checks what is fetched; install it (apt-get install coreutils) and run the same command again."
        case .noSuchModel(let model, let host):
            "\(host) has no model \(model) that it shows; check the name, or set HF_TOKEN if it is a private one."
        case .noSuchRevision(let model, let revision):
            "\(model) has no revision \"\(printable(revision))\"; name a branch, a tag or a commit of it."
        case .noSuchFile(let url): "\(url) does not exist; check the model's name or address."
        case .denied(let model, let status, let page):
            "\(model) is not handed out to just anyone (\(status)); accept its licence at \(page) and set HF_TOKEN to a token of that account."
        case .unreachable(let host, let reason):
            "\(host) cannot be reached (\(printable(reason))); check the network and HTTPS_PROXY, then run the same command again: it goes on where it stopped."
        case .refused(let host, let status, let reason):
            "\(host) answered \(status)\(reason.isEmpty ? "" : " (\(printable(reason)))"); run the same command again later: it goes on where it stopped."
        case .waitTooLong(let host, let seconds):
            "\(host) wants no further requests for \(seconds) s; run the same command again then, or set HF_TOKEN, which has higher limits."
        case .badAnswer(let url, let reason):
            "\(url): the answer is not understood (\(printable(reason))); check HF_ENDPOINT, or that nothing between here and the hub changes it."
        case .badRedirect(let url, let reason):
            "\(url): the redirect is not followed (\(printable(reason))); check the address."
        case .incompleteModel(let model, let lacks):
            "\(model) has no \(lacks), so it is not a latent diffusion model in diffusers' layout; name another one."
        case .singleFiles(let model, let files):
            "\(model) is not in diffusers' layout, but it has \(files.prefix(3).joined(separator: ", "))\(files.count > 3 ? ", …" : ""); fetch one with --file."
        case .lacksFile(let model, let file): "\(model) has no file \(printable(file)); name another one."
        case .badFileName(let name):
            "\"\(printable(name))\" is not the name of a .safetensors file in a model's repository, such as sd_xl_base_1.0.safetensors; pickles are not read."
        case .pickleOnly(let model, let component):
            "\(model) has its \(component) as a pickle only, and only safetensors are read; name another model or revision."
        case .wrongSize(let file, let expected, let found):
            "\(file) has \(found) bytes where \(expected) were announced, and was thrown away; run the same command again, and check the proxy if it stays so."
        case .wrongBytes(let file, let expected, let found):
            "\(file) arrived damaged (checksum \(found.prefix(12))…, announced \(expected.prefix(12))…) and was thrown away; run the same command again."
        case .noSpace(let folder, let needed, let free):
            "\(folder) has \(sizeText(free)) free where \(sizeText(needed)) are still to come; make room, or name another place with HF_HOME or --to."
        case .notInCache(let model, let lacks, let cache):
            "HF_HUB_OFFLINE is set and \(lacks) of \(model) is not in \(cache); unset it to fetch the model."
        case .differs(let path):
            "\(path) is there already and is another file; nothing is overwritten: remove it or name another folder."
        case .notALink(let path):
            "\(path) is there already and was not made by `models pull`; remove it or fetch with --to."
        case .damagedCache(let path):
            "\(path) has not the size it should have; remove it and run the same command again."
        case .inUse(let folder):
            "\(folder) is being written by another `models pull`; wait for it and run the same command again."
        case .file(let path, let reason): "\(path): \(printable(reason)); check the folder and its permissions."
        }
    }
}

/// "5.1 GB", "12.3 MB", "800 bytes".
public func sizeText(_ bytes: Int) -> String {
    if bytes >= 1_000_000_000 { return String(format: "%.1f GB", Double(bytes) / 1e9) }
    if bytes >= 1_000_000 { return String(format: "%.1f MB", Double(bytes) / 1e6) }
    return bytes >= 1000 ? String(format: "%.1f kB", Double(bytes) / 1e3) : "\(bytes) bytes"
}

/// What a server or a user said, without what would act on a terminal, and not endless.
func printable(_ text: String) -> String {
    String(
        String.UnicodeScalarView(
            text.unicodeScalars.prefix(200).map { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) ? " " : $0 }))
}
