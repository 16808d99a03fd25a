import Foundation
import ModelHub

/// Where models are found by name.
public enum ModelLibrary {
    /// A model's folder or file: a path, the name of one in one of `roots`, or the name of one that was fetched.
    public static func url(named name: String) throws -> URL {
        if !name.contains("/") {
            for root in roots {
                if let model = model(at: root.appendingPathComponent(name)) { return model }
            }
        }
        let path = URL(fileURLWithPath: name)
        if FileManager.default.fileExists(atPath: path.path) { return model(at: path) ?? path }
        // A file of a repository has a part more in its name than a repository.
        if let model = model(at: fetched.appendingPathComponent(ModelName.folderName(of: name))) { return model }
        if let wanted = try? ModelName(name) {
            if let model = model(at: fetched.appendingPathComponent(ModelName.folderName(of: wanted.shortName))) {
                return model
            }
            // "a/b" is a path that is wrong, too, if there is a folder "a".
            let owner = path.deletingLastPathComponent().path
            if !name.contains("/") || !FileManager.default.fileExists(atPath: owner) {
                throw WorkflowError.message(
                    "There is no folder \(name), and no model of that name was fetched; run `visionxl models pull \(name)`."
                )
            }
        }
        if name == "builtin" {
            throw WorkflowError.message(
                "The built-in model was not found (looked in \(roots.map(\.path).joined(separator: ", "))); run from the project's folder, "
                    + "or set VISIONXL_MODELS to its folder Models.")
        }
        return path
    }

    /// Where `models pull` puts models: `visionxl/models` in `XDG_DATA_HOME`, or in `~/.local/share`.
    public static let fetched: URL = {
        let path = ProcessInfo.processInfo.environment["XDG_DATA_HOME"] ?? ""
        let data =
            path.isEmpty
            ? FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".local/share")
            : URL(fileURLWithPath: path)
        return data.appendingPathComponent("visionxl/models")
    }()

    /// `VISIONXL_MODELS`, the folder `Models` in the folders above the program and the working directory, and `fetched`.
    static let roots: [URL] = {
        var found: [URL] = []
        if let path = ProcessInfo.processInfo.environment["VISIONXL_MODELS"], !path.isEmpty {
            found.append(URL(fileURLWithPath: path))
        }
        let program = ProcessInfo.processInfo.arguments.first.map { URL(fileURLWithPath: $0).resolvingSymlinksInPath() }
        for start in [
            program?.deletingLastPathComponent(), URL(fileURLWithPath: FileManager.default.currentDirectoryPath),
        ] {
            var folder = start
            for _ in 0..<8 {
                guard let current = folder, current.path != "/" else { break }
                let models = current.appendingPathComponent("Models").standardizedFileURL
                if FileManager.default.fileExists(atPath: models.path), !found.contains(models) { found.append(models) }
                folder = current.deletingLastPathComponent()
            }
        }
        return found + [fetched]
    }()

    /// The model at `url`, if there is one: a folder in diffusers' layout, a single file, or a folder with one such file and no more.
    private static func model(at url: URL) -> URL? {
        let manager = FileManager.default
        if manager.fileExists(atPath: url.appendingPathComponent("unet/config.json").path) { return url }
        guard let names = try? manager.contentsOfDirectory(atPath: url.path) else {
            return url.pathExtension == "safetensors" && manager.fileExists(atPath: url.path) ? url : nil
        }
        let files = names.filter { $0.hasSuffix(".safetensors") }
        return files.count == 1 ? url.appendingPathComponent(files[0]) : nil
    }

    /// Names of the models in `roots`.
    public static var names: [(name: String, url: URL)] {
        roots.flatMap { root in
            ((try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []).sorted().compactMap { name in
                model(at: root.appendingPathComponent(name)).map {
                    (root == fetched ? ModelName.shortName(ofFolder: name) : name, $0)
                }
            }
        }
    }
}
