import Foundation
import TensorKit

/// Which model, and in what type it runs.
public struct ModelChoice: Sendable, Hashable, Codable {
    /// A folder in diffusers' layout, a .safetensors file of SDXL, "builtin", or the name of one that was fetched; "builtin" when nil.
    public var name: String?
    /// Which files to prefer where a folder has several.
    public var variant: String?
    /// Another autoencoder: a folder in the model's or of its own, or a file.
    public var autoencoder: String?
    /// A tiny autoencoder, a folder in the model's or of its own, for all timesteps but the last ones; nil for none.
    public var draft: String?
    /// What the networks compute in; what the processor is quick in when nil.
    public var dtype: DType?

    public init(
        _ name: String? = nil, variant: String? = nil, autoencoder: String? = nil, draft: String? = nil,
        dtype: DType? = nil
    ) {
        self.name = name
        self.variant = variant
        self.autoencoder = autoencoder
        self.draft = draft
        self.dtype = dtype
    }

    /// The folder or file.
    /// - Throws: `WorkflowError` for names that nothing has.
    public func url() throws -> URL { try ModelLibrary.url(named: name ?? "builtin") }

    /// The autoencoder to take in place of that of the model at `url`.
    public func autoencoderURL(of url: URL) -> URL? { autoencoder.map { path($0, of: url) } }

    /// The autoencoder of the timesteps before the last ones.
    public func draftURL(of url: URL) -> URL? { draft.map { path($0, of: url) } }

    /// A folder in the model at `url`, or one of its own.
    private func path(_ name: String, of url: URL) -> URL {
        let inside = url.appendingPathComponent(name)
        return FileManager.default.fileExists(atPath: inside.path) ? inside : URL(fileURLWithPath: name)
    }
}
