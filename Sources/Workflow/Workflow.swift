import VisionXL

/// From a file to a file.
public enum Workflow {
    /// Restores a video as a recipe says.
    ///
    /// Everything that can be refused is refused before the model's weights are read. Nothing stands under the output's name before the result
    /// is whole; a cancelled task leaves nothing there, and of several windows its work folder.
    /// - Parameter tell: called from whatever thread the work is on.
    /// - Returns: what was done, which is in the recipe's `log`, too, if it names one.
    /// - Throws: `WorkflowError`, `VideoError`, `RestorationError`, `ProblemError`, `ModelError`, `TensorError`, `CancellationError`.
    @discardableResult
    public static func restore(
        _ recipe: Recipe, _ execution: Execution = Execution(),
        tell: @escaping @Sendable (RestorationEvent) -> Void = { _ in }
    ) async throws -> RestorationLog {
        do {
            return try await FileRestoration(recipe, execution, tell: tell).run(tell)
        } catch {
            throw recipe.advising(error)
        }
    }

    /// Whether there is a work folder that a restoration to an output goes on with.
    /// - Parameter folder: the work folder; beside the output when nil.
    public static func hasBegun(_ output: String, in folder: String? = nil) -> Bool {
        WorkFolder.isWhole(folder ?? WorkFolder.path(for: output))
    }
}

/// What a restoration tells of itself.
public enum RestorationEvent: Sendable {
    /// A sentence for people.
    case note(String)
    /// The video is looked at: frames that were seen, of how many where that is known.
    case scanning(frame: Int, of: Int?)
    /// - Parameters:
    ///   - window: its number, from 0.
    ///   - windows: how many there are; nil where nobody knows.
    ///   - deviceMemory: the most of a GPU's own memory that was seen in use, by whatever program; nil on a CPU.
    case progress(RestorationProgress, window: Int, windows: Int?, deviceMemory: Int?)
}
