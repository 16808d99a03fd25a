import ArgumentParser

@main
struct VisionXLCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "visionxl",
        abstract: "Restore degraded video with a latent diffusion prior, without training.")
}
