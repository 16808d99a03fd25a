import TensorKit
import Foundation

// What a lossy autoencoder takes away of the frames that it is given, X - D(E(X)) (Docs/LossyCodecs.md).
extension Algorithm1 {
    static let f = Float(ProcessInfo.processInfo.environment["LOSSF"] ?? "1").map(Double.init) ?? 1
    static let l0 = ProcessInfo.processInfo.environment["LOSS0"] != nil
    /// Zbar = E(Xbar). What it cannot hold is remembered, where that is returned.
    mutating func encoded(_ Xbar: Tensor) throws -> Tensor {
        let Zbar = try networks.encode(Xbar)
        if settings.returnsLoss { lost = try Xbar - networks.decode(Zbar) }
        return Zbar
    }

    /// D(Zhat), with what the autoencoder lost of the frames before it.
    mutating func decoded(_ Zhat: Tensor) throws -> Tensor {
        let X = try networks.decode(Zhat)
        return try lost.map { try X.adding($0, times: Self.f) } ?? X
    }
}
