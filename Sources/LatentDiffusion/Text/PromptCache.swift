import Foundation
import TensorKit
import Weights

/// Keeps the null prompt's embedding between runs, so that the text encoders are opened once and not again until one of their files changes.
///
/// A file for each model lies in `folder`, written whole or not at all. Nothing here fails: what cannot be read is computed anew, and what
/// cannot be written is computed the next time.
public struct PromptCache: Sendable {
    public let folder: URL

    public init(folder: URL) { self.folder = folder }

    /// `visionxl` in `XDG_CACHE_HOME`, or in `~/.cache`.
    public static var standard: PromptCache {
        let path = ProcessInfo.processInfo.environment["XDG_CACHE_HOME"] ?? ""
        let caches =
            path.hasPrefix("/")
            ? URL(fileURLWithPath: path)
            : FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".cache")
        return PromptCache(folder: caches.appendingPathComponent("visionxl"))
    }

    /// The embedding that was stored for `identity`.
    func embedding(for identity: String) -> PromptEmbedding? {
        guard let file = try? SafetensorsFile(at: file(for: identity)), file.metadata["identity"] == identity,
            let context = try? file.tensor("context")
        else { return nil }
        return PromptEmbedding(
            context: context, pooled: file.entries["pooled"] == nil ? nil : try? file.tensor("pooled"))
    }

    func store(_ embedding: PromptEmbedding, for identity: String) {
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        var tensors = ["context": embedding.context]
        tensors["pooled"] = embedding.pooled
        try? SafetensorsWriter.write(
            tensors, metadata: ["identity": identity], to: file(for: identity), overwrite: true)
    }

    /// FNV-1a, 64 bits: two models with one file name would only take turns, since the identity itself is in the file.
    private func file(for identity: String) -> URL {
        let hash = identity.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        let digits = String(hash, radix: 16)
        return folder.appendingPathComponent(
            "null-prompt-\(String(repeating: "0", count: 16 - digits.count))\(digits).safetensors")
    }
}
