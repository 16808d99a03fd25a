/// What was wrong with a video that was decoded all the same.
public struct Damage: Sendable, Equatable {
    /// How often ffmpeg complained.
    public var complaints = 0
    /// Frames that could not be decoded. The frame before stands in the place of each, so that all others keep their
    /// times.
    public var replaced = 0

    public init(complaints: Int = 0, replaced: Int = 0) { (self.complaints, self.replaced) = (complaints, replaced) }

    /// What a person should know; nil where nothing was wrong.
    public func sentence(of path: String) -> String? {
        guard complaints > 0 else { return nil }
        let lost =
            replaced == 0
            ? "" : " \(replaced) frames could not be decoded, and the one before stands in the place of each."
        return "\(path) is damaged: ffmpeg complained \(complaints) times while decoding it; look at the frames there."
            + lost
    }
}
