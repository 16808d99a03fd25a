import Foundation
import TensorKit
import TestSupport
import Testing
import Weights

@testable import LatentDiffusion

private let fullSizeModel = ProcessInfo.processInfo.environment["VISIONXL_FULL_SIZE"].map { URL(fileURLWithPath: $0) }

/// A model of SDXL's own size against diffusers: `Benchmarks/reference/full_size.py` says how to make one and its reference.
@Suite(
    .serialized,
    .enabled(
        if: fullSizeModel != nil,
        "VISIONXL_FULL_SIZE names no model; Benchmarks/reference/full_size.py says how to make one"))
struct GoldenFullSizeTests {
    /// bfloat16 only where it is quick: elsewhere it takes longer than anyone waits.
    private static var types: [(DType, Double)] {
        [(.float32, 1e-3)] + (Engine.bestDevice.runningType == .bfloat16 ? [(.bfloat16, 3e-2)] : [])
    }

    /// float32 takes 16 GB of memory. Measured on a CPU: 3e-6 for the U-Net, 2e-5 for a decode, 1e-5 for an encode.
    @Test(arguments: types) func agreesWithDiffusers(dtype: DType, tolerance: Double) throws {
        let folder = try #require(fullSizeModel)
        let device = Engine.bestDevice
        let reference = try SafetensorsFile(at: folder.appendingPathComponent("reference.safetensors")).tensors()
        let model = try LatentDiffusionModel(at: folder, dtype: dtype, device: device)
        let latents = try reference.require("latents").to(device)
        let noise = try model.unet(latents, timestep: 281, conditioning: model.conditioning(height: 512, width: 512))
        #expect(try relativeError(noise, reference.require("noise")) < tolerance)
        let decoded = try model.autoencoder.decode(latents.to(model.autoencoderType))
        #expect(try relativeError(decoded, reference.require("decoded")) < tolerance)
        let encoded = try model.autoencoder.encode(reference.require("frames").to(device).to(model.autoencoderType))
        #expect(try relativeError(encoded, reference.require("encoded")) < tolerance)
    }
}
