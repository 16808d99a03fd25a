import TensorKit

/// How much of a video goes through each of a prior's maps at once. Memory and time follow from it, and nothing else: the result is the same
/// but for rounding.
public struct PassSizes: Sendable, Equatable, Codable {
    /// Frames whose noise is predicted together.
    public var prediction: Int
    /// Frames that are encoded together.
    public var encoding: Int
    /// Frames that are decoded together.
    public var decoding: Int
    /// Sides of the tiles that frames are encoded and decoded in, in pixels; nil for whole frames.
    public var encodingTile: Int?
    public var decodingTile: Int?

    /// The same number of whole frames everywhere.
    public init(frames: Int) {
        (prediction, encoding, decoding) = (frames, frames, frames)
    }

    /// Whether no pass is larger than another's.
    public func isWithin(_ other: PassSizes) -> Bool {
        prediction <= other.prediction && encoding <= other.encoding && decoding <= other.decoding
            && (encodingTile ?? .max) <= (other.encodingTile ?? .max)
            && (decodingTile ?? .max) <= (other.decodingTile ?? .max)
    }

    /// Throws a sentence where a pass would have nothing in it.
    func validate() throws {
        guard min(prediction, encoding, decoding) >= 1 else {
            throw RestorationError.invalidOption("At least one frame must go through a network at a time.")
        }
    }

    /// A prior's maps.
    enum Map {
        case prediction, encoding, decoding
    }

    func frames(_ map: Map) -> Int {
        switch map {
        case .prediction: prediction
        case .encoding: encoding
        case .decoding: decoding
        }
    }

    func tile(_ map: Map) -> Int? {
        switch map {
        case .prediction: nil
        case .encoding: encodingTile
        case .decoding: decodingTile
        }
    }

    /// The next smaller way to run a map: half the frames, then tiles, then smaller tiles. Nil where there is none.
    /// - Parameters:
    ///   - frames: how many the pass had that was too large.
    ///   - tileSizes: of the prior, from large to small.
    func smaller(_ map: Map, frames: Int, tileSizes: [Int]) -> PassSizes? {
        var result = self
        if frames > 1 {
            let half = frames / 2
            switch map {
            case .prediction: result.prediction = half
            case .encoding: result.encoding = half
            case .decoding: result.decoding = half
            }
            return result
        }
        guard let tile = tileSizes.first(where: { $0 < self.tile(map) ?? .max }) else { return nil }
        switch map {
        case .prediction: return nil
        case .encoding: result.encodingTile = tile
        case .decoding: result.decodingTile = tile
        }
        return result
    }
}

extension PassSizes: CustomStringConvertible {
    /// "4 frames a pass", or "predicting 4 frames at once, encoding 2, decoding 1 in tiles of 512x512".
    public var description: String {
        func tiles(_ side: Int?) -> String { side.map { " in tiles of \($0)x\($0)" } ?? "" }
        if encoding == prediction, decoding == prediction, encodingTile == nil, decodingTile == nil {
            return "\(prediction) \(prediction == 1 ? "frame" : "frames") a pass"
        }
        return
            "predicting \(prediction) \(prediction == 1 ? "frame" : "frames") at once, encoding \(encoding)\(tiles(encodingTile)), decoding "
            + "\(decoding)\(tiles(decodingTile))"
    }
}
