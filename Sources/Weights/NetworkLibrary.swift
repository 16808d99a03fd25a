import Foundation

/// The small pretrained networks that set-up fetches beside the engine, each one safetensors file.
///
/// They are looked for in the folder that `VISIONXL_NETWORKS` names, and, where it names none, in `.deps/networks` and `.deps/enlargement`
/// of the folders above the program and above the working directory.
public enum NetworkLibrary {
    public enum Network: String, CaseIterable, Sendable {
        /// LPIPS v0.1 with AlexNet: `conv.N.weight`, `conv.N.bias` and the heads `lin.N.weight`.
        case lpipsAlexNet = "lpips-alexnet"
        /// LPIPS v0.1 with VGG16, under the same names.
        case lpipsVGG16 = "lpips-vgg16"
        /// I3D of RGB frames, trained on Kinetics-400: the network of the Fréchet video distance.
        case i3dKinetics400 = "i3d-kinetics400"
        /// FFDNet for colour pictures: a denoiser that is told the noise level.
        case ffdnetColor = "ffdnet-color"
        /// SPAN of 52 channels: an enlargement of colour pictures by 4.
        case spanX4 = "span-x4"
    }

    /// Where the network's file is.
    /// - Throws: `WeightsError.networkNotFound`, which says how to fetch it.
    public static func url(of network: Network) throws(WeightsError) -> URL {
        let program = ProcessInfo.processInfo.arguments.first.map { URL(fileURLWithPath: $0) }?
            .resolvingSymlinksInPath().deletingLastPathComponent()
        let working = URL(fileURLWithPath: FileManager.default.currentDirectoryPath)
        return try url(
            of: network, named: ProcessInfo.processInfo.environment["VISIONXL_NETWORKS"],
            above: [program, working].compactMap { $0 })
    }

    /// Whether the network's file is there.
    public static func isAvailable(_ network: Network) -> Bool { (try? url(of: network)) != nil }

    static func url(of network: Network, named: String?, above starts: [URL]) throws(WeightsError) -> URL {
        let name = network.rawValue + ".safetensors"
        if let named, !named.isEmpty {
            let file = URL(fileURLWithPath: named).appendingPathComponent(name)
            if FileManager.default.fileExists(atPath: file.path) { return file }
            throw .networkNotFound(name: network.rawValue, searched: ["VISIONXL_NETWORKS=\(named)"])
        }
        for start in starts {
            for folder in ancestors(of: start) {
                for place in [".deps/networks", ".deps/enlargement"] {
                    let file = folder.appendingPathComponent(place).appendingPathComponent(name)
                    if FileManager.default.fileExists(atPath: file.path) { return file }
                }
            }
        }
        throw .networkNotFound(name: network.rawValue, searched: starts.map { "\($0.path)/.deps and above" })
    }

    private static func ancestors(of start: URL) -> [URL] {
        var folders = [start]
        while let last = folders.last, last.path != "/", folders.count < 64 {
            folders.append(last.deletingLastPathComponent())
        }
        return folders
    }
}
