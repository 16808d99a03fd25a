import LatentDiffusion

extension TextRequest {
    /// Refuses words that would do nothing, in a sentence.
    /// - Throws: `WorkflowError`.
    public func validate() throws {
        guard guidance.isFinite, guidance >= 0 else {
            throw WorkflowError.message("--guidance must be 0 or more; 1 is none.")
        }
        if guidance != 1, !hasWords {
            throw WorkflowError.message("--guidance leads from one text to another; add --prompt or --negative-prompt.")
        }
        if guidance == 1, negativePrompt != nil {
            throw WorkflowError.message("--negative-prompt acts through guidance; add --guidance, for example 5.")
        }
    }
}
