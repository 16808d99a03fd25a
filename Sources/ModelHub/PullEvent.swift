/// What happens while a model is fetched, in the order in which it happens; several files go at once.
public enum PullEvent: Sendable, Equatable {
    /// What is to come: files, their bytes, and how many of these are there already.
    case planned(files: Int, bytes: Int, present: Int)
    case received(bytes: Int)
    /// Bytes that count no longer: the file starts anew.
    case discarded(bytes: Int, file: String, reason: String)
    case finished(file: String, bytes: Int)
    /// A request failed and is sent again after a pause.
    case waiting(subject: String, reason: String, seconds: Double)
    /// Another program is fetching the same file.
    case waitingForAnother(file: String)
}
