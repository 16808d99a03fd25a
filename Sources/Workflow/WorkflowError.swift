/// What is wrong with what was asked, or with a file. Each description is a sentence for the user.
public enum WorkflowError: Error, CustomStringConvertible, Equatable, Sendable {
    case message(String)

    public var description: String {
        switch self {
        case .message(let text): text
        }
    }
}
