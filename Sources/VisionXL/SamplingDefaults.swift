extension RestorationOptions {
    /// eta, lambda and the first estimate where they are left open, by what measured best (Docs/DataStep.md).
    struct SamplingDefaults: Sendable {
        /// The noise at the first sampled timestep as it looks in pixels of [-1, 1]; nil where only the decoder knows.
        var pixelNoise: Double?
        /// sigma_y.
        var measurementNoise: Double
        /// Whether the operator makes one pixel of several.
        var mixesPixels: Bool
        /// Whether a measured frame has fewer pixels than a restored one.
        var shrinks: Bool

        /// Whether all noise may be new: where the prior never sees more than a tenth of the pixels' range, what it has found out lies in the
        /// frames, not in its prediction of the noise. With more, as with FFDNet on SDXL's schedule, new noise costs detail.
        private func noiseIsLight(_ options: RestorationOptions) -> Bool {
            options.dataStep == .proximal && (pixelNoise ?? .infinity) <= 0.2
        }

        private var isSmallAndExact: Bool { shrinks && measurementNoise < 0.01 }

        /// 1 or the paper's 0.2: what small exact frames do not tell is better kept as it was.
        func eta(_ options: RestorationOptions) -> Double {
            if let eta = options.eta { return eta }
            return noiseIsLight(options) && !isSmallAndExact ? 1 : 0.2
        }

        /// Patches tell of small frames what noise does not drown, whether the measurement's or the prior's.
        func firstEstimate(_ options: RestorationOptions) -> FirstEstimate {
            if let estimate = options.firstEstimate { return estimate }
            return noiseIsLight(options) && isSmallAndExact ? .selfSimilar : .smooth
        }

        /// The paper's sqrt 2 keeps the prior's mistakes from coming back. New noise does that too and lets 0.7 do; so does, up to
        /// sqrt(1 + (sigma_y / 0.01)^2), a measurement that leaves pixels apart.
        func lambda(_ options: RestorationOptions) -> Double {
            if let lambda = options.lowPass { return lambda }
            if noiseIsLight(options) {
                if eta(options) == 1 { return 0.7 }
                // What patches told together is finer than what the filter would leave of it.
                if shrinks, firstEstimate(options) == .selfSimilar { return 0.5 }
            }
            let noise = mixesPixels ? 1 : Swift.min(measurementNoise / 0.01, 1)
            return (1 + noise * noise).squareRoot()
        }
    }
}
