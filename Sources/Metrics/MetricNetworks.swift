import Synchronization
import TensorKit

/// The metrics' networks: each is loaded when it is first asked for, and then shared by all who compare.
public final class MetricNetworks: Sendable {
    /// Where the networks run.
    public let device: Device
    private let loaded = Mutex(Loaded())

    private struct Loaded {
        var perceptual: [LPIPS.Network: LPIPS] = [:]
        var video: I3D?
    }

    public init(device: Device = .cpu) { self.device = device }

    /// - Throws: `WeightsError` where the weights are missing, with how to fetch them.
    public func lpips(_ network: LPIPS.Network) throws -> LPIPS {
        try loaded.withLock { loaded in
            let lpips = try loaded.perceptual[network] ?? LPIPS(network, device: device)
            loaded.perceptual[network] = lpips
            return lpips
        }
    }

    /// - Throws: `WeightsError` where the weights are missing, with how to fetch them.
    public func i3d() throws -> I3D {
        try loaded.withLock { loaded in
            let network = try loaded.video ?? I3D(device: device)
            loaded.video = network
            return network
        }
    }
}
