import Foundation

/// What holds the frames: a kind of file, or a folder.
public enum Container: String, Sendable, CaseIterable {
    case mp4, mov, mkv
    /// Uncompressed frames one after the other, as programs hand them to each other.
    case y4m
    /// Arrays of numbers.
    case npy, safetensors
    case pictures = "folder of pictures"

    /// By the name's extension.
    public init(path: String) throws(VideoError) {
        let ending = path.hasSuffix("/") ? "" : (path as NSString).pathExtension.lowercased()
        switch ending {
        case "mp4": self = .mp4
        case "mov": self = .mov
        case "mkv": self = .mkv
        case "y4m": self = .y4m
        case "npy": self = .npy
        case "safetensors": self = .safetensors
        case "": self = .pictures
        default:
            throw .unsupportedTarget(
                path,
                reason: "the extension .\(ending) is not known; use .mp4, .mov, .mkv, .y4m, a folder name,"
                    + " or .npy or .safetensors for numbers")
        }
    }

    /// Whether it has nothing but frames, without times.
    var isFramesAlone: Bool { ![.mp4, .mov, .mkv].contains(self) }

    /// "a .mp4", "a folder of pictures".
    var words: String { self == .pictures ? "a folder of pictures" : "a .\(rawValue)" }
}
