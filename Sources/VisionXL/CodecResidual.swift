import TensorKit

// What a lossy autoencoder takes away of the frames that it is given, X - D(E(X)): the codec's residual (Docs/LossyCodecs.md).
extension Algorithm1 {
    /// Zbar = E(Xbar). What it cannot hold is remembered where a part of that is wanted.
    mutating func encoded(_ Xbar: Tensor) throws -> Tensor {
        let Zbar = try networks.encode(Xbar)
        // By the autoencoder that decodes next, which may be another one.
        if settings.codecResidual > 0 { lost = try Xbar - networks.decode(Zbar, stepsAhead: 1) }
        return Zbar
    }

    /// D(Zhat), with a part of what the autoencoder lost of the frames before it.
    mutating func decoded(_ Zhat: Tensor) throws -> Tensor {
        let X = try networks.decode(Zhat)
        return try lost.map { try X.adding($0, times: settings.codecResidual) } ?? X
    }
}
