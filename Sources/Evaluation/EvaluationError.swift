/// What can go wrong in an evaluation, beside the errors of the rooms it uses. Each description is a sentence for the user.
public enum EvaluationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A folder without videos or pictures in it.
    case noClips(String)
    /// A folder for results that holds something else.
    case foreignFolder(String)
    /// A method whose result is not a video of the truth's shape.
    case wrongShape(method: String, [Int], expected: [Int])
    /// Results that cannot be written.
    case cannotWrite(String, reason: String)

    public var description: String {
        switch self {
        case .noClips(let path):
            "\(path) holds no videos and no pictures; name a video, a folder of pictures, or a folder of those."
        case .foreignFolder(let path):
            "\(path) exists and holds no results of an evaluation; name a new folder, or the one of an evaluation to go on with."
        case .wrongShape(let method, let shape, let expected):
            "\(method) returned a tensor of the shape \(shape), and the video has \(expected) (frames, channels, height, width)."
        case .cannotWrite(let path, let reason):
            "\(path) cannot be written (\(reason)); free some space or name another folder."
        }
    }
}
