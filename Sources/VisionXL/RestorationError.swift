/// What can go wrong in a restoration, beside the errors of the rooms below. Each description is a sentence for the user.
public enum RestorationError: Error, Equatable, Sendable, CustomStringConvertible {
    case invalidOption(String)
    /// The measurement is not a video that the method can restore.
    case invalidMeasurement(String)
    /// A value that is not a number came out of a network or of the data step.
    case notFinite(step: Int)
    /// The smallest pass of a network did not fit into a device's memory.
    case outOfMemory(device: String, reason: String)

    public var description: String {
        switch self {
        case .invalidOption(let message), .invalidMeasurement(let message): message
        case .notFinite(let step):
            "Step \(step) gave values that are not numbers; run with --dtype float32, or with another data step."
        case .outOfMemory(let device, let reason):
            "The memory of \(device) does not suffice for one frame at a time; make the frames smaller, close other programs or choose "
                + "another --device. (\(reason))"
        }
    }
}
