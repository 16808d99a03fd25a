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

    func addsCodecResidual() throws -> Choice<Bool> {
        try Choice(asked.addsCodecResidual) {
            guard try facts.decoderGain() == nil else {
                return Choice(false, "A linear codec loses nothing that matters.")
            }
            return Choice(true, "What the autoencoder cannot hold is known from the timestep before.")
        }
    }
}
