extension VideoEncoding.Codec {
    /// As people write it.
    public var title: String {
        switch self {
        case .h264: "H.264"
        case .h265: "H.265"
        case .av1: "AV1"
        case .prores: "ProRes"
        case .ffv1: "FFV1"
        case .png: "PNG"
        case .float32: "float32"
        case .raw: "Uncompressed video"
        }
    }

    /// Whether the file gives back the values that came in, at the bits that it stores.
    public var isLossless: Bool { self == .ffv1 || self == .png || self == .float32 }

    /// The bits of a component that it can store.
    public var depths: [Int] {
        switch self {
        case .h264, .h265, .av1, .raw: [8, 10]
        case .prores: [10]
        case .ffv1: [8, 10, 16]
        case .png: [8, 16]
        case .float32: [32]
        }
    }

    /// Of constant rate factors; nil where there is none.
    public var qualities: ClosedRange<Int>? {
        switch self {
        case .h264, .h265: 0...51
        case .av1: 0...63
        case .prores, .ffv1, .png, .float32, .raw: nil
        }
    }

    /// Visually lossless.
    var usualQuality: Int {
        switch self {
        case .av1: 20
        case .h265: 18
        default: 16
        }
    }

    /// Whether a kind of file, or a folder, can have it.
    public func isHeld(by container: Container) -> Bool { containers.contains(container) }

    var containers: [Container] {
        switch self {
        case .h264, .h265: [.mp4, .mov, .mkv]
        case .av1: [.mp4, .mkv]
        case .prores: [.mov, .mkv]
        case .ffv1: [.mkv]
        case .png: [.pictures]
        case .float32: [.npy, .safetensors]
        case .raw: [.y4m]
        }
    }

    /// ffmpeg's encoders, the best first.
    var encoders: [String] {
        switch self {
        case .h264: ["libx264"]
        case .h265: ["libx265"]
        case .av1: ["libsvtav1", "libaom-av1"]
        case .prores: ["prores_ks"]
        case .ffv1: ["ffv1"]
        case .png: ["png"]
        case .float32: []
        case .raw: ["wrapped_avframe"]
        }
    }
}
