import Diffusion

// How the autoencoder is used.
extension Rules {
    func samplesEncoder() -> Choice<Bool> {
        Choice(asked.samplesEncoder, else: false, "The encoder's mean, without its noise.")
    }

    func exactCodecSteps() throws -> Choice<Int> {
        let count = try timesteps().value.count
        return Choice(
            asked.exactCodecSteps.map { Swift.min($0, count) }, else: count, "All of them: drafts change the result.")
    }

    func codecResidual() throws -> Choice<Double> {
        try Choice(asked.codecResidual) {
            guard try facts.decoderGain() == nil else { return Choice(0, "A linear codec loses nothing that matters.") }
            return Choice(
                0.75,
                "Each pass through the autoencoder would lose detail again; with all of it mistakes of the start would stay, too."
            )
        }
    }
}
