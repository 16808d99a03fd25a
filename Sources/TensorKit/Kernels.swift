/// Which of several ways to the same numbers the networks take. What is quick on one kind of device is slow on another.
package struct Kernels: Sendable, Equatable {
    /// cuDNN tries its algorithms for every new shape of a convolution and keeps the quickest. Without meaning elsewhere.
    package var autotunesConvolutions: Bool
    /// Group norms of channels-last maps by means, variances and one a x + b, where the engine's own would copy the map to row-major
    /// memory and its reader back.
    package var normsChannelsLast: Bool
    /// Enlargement and convolution as four convolutions of the small map.
    package var foldsEnlargement: Bool

    package init(autotunesConvolutions: Bool, normsChannelsLast: Bool, foldsEnlargement: Bool) {
        self.autotunesConvolutions = autotunesConvolutions
        self.normsChannelsLast = normsChannelsLast
        self.foldsEnlargement = foldsEnlargement
    }

    /// What a device is given.
    package static func usual(on device: Device) -> Kernels {
        Kernels(
            autotunesConvolutions: device.isCUDA, normsChannelsLast: device.isCUDA, foldsEnlargement: device.isCUDA)
    }

    /// Others, for measurements and tests; valid for what is called within `$chosen.withValue`, on the same thread.
    @TaskLocal package static var chosen: Kernels?

    /// Those in force.
    package static func current(on device: Device) -> Kernels { chosen ?? usual(on: device) }
}
