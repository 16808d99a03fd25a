import VisionXL

// What the paper compares with, as values of Algorithm 1's own numbers. Their priors live in pixels: `ADMPrior`, or `PixelSpacePrior` over a
// denoiser, either in a `PatchedPrior` for frames larger than 256 x 256.
extension RestorationOptions {
    /// SVI (Kwon & Ye, "Solving Video Inverse Problems Using Image Diffusion Models", 2024): the whole schedule in 100 steps from one
    /// noise for all frames, 5 conjugate-gradient steps over all of them, eta 0.8 with one noise, no low-pass.
    public static var svi: RestorationOptions {
        var options = RestorationOptions()
        options.dataStep = .conjugateGradients
        options.steps = 100
        options.tau = 1
        options.start = .pureNoise
        options.firstEstimate = .measurement
        options.conjugateGradientSteps = 5
        options.finalConsistencySteps = 5
        options.eta = 0.8
        options.lowPass = 0
        options.steadiness = 0
        return options
    }

    /// DDS (Chung, Lee & Ye, "Decomposed Diffusion Sampler for Accelerating Large-Scale Inverse Problems", 2024) frame by frame: SVI's
    /// numbers without its batch consistency. Every frame has a noise of its own at the start and at each renoising, and conjugate
    /// gradients of its own unless the operator mixes frames.
    public static var dds: RestorationOptions {
        var options = RestorationOptions.svi
        options.start = .independentPureNoise
        options.renoising = .independent
        options.solvesFramesAlone = true
        return options
    }
}
