import Foundation
import TensorKit
import TestSupport
import Testing

@testable import Weights

/// Files that another program wrote.
@Suite struct GoldenFilesTests {
    private static let counts = [
        ("ddim", 3), ("operators", 21), ("pipeline-deblur+", 21), ("pipeline-inpaint", 21), ("pipeline-sr4+", 21),
        ("unet", 7),
        ("vae", 6),
        ("vae_tiny", 3), ("tiny-sdxl/unet/diffusion_pytorch_model", 840),
        ("tiny-sdxl/vae/diffusion_pytorch_model", 244),
        ("tiny-sdxl/vae_tiny/diffusion_pytorch_model", 134),
    ]

    @Test(arguments: counts, Golden.sets) func keysAreCounted(keys: (String, Int), set: Golden) throws {
        let (name, count) = keys
        let file = try SafetensorsFile(at: set.folder.appendingPathComponent("\(name).safetensors"))
        #expect(file.entries.count == count)
        #expect(file.nonFiniteTensors().isEmpty)
    }

    @Test(arguments: Golden.sets) func theTinyModelIsSound(set: Golden) throws {
        let model = try ModelFolder(at: set.model)
        #expect(model.componentNames == ["scheduler", "unet", "vae", "vae_tiny"])
        let report = model.verify(checkingValues: true)
        #expect(report.isSound, "\(report)")
        #expect(report.components.map(\.tensorCount) == [0, 840, 244, 134])
        struct UNet: Decodable { var in_channels: Int }
        #expect(try model.component("unet").config(as: UNet.self).in_channels == 4)
    }

    @Test(.needsEngine, arguments: Golden.sets) func aWholeNetworkIsUsed(set: Golden) throws {
        let unet = try ModelFolder(at: set.model).component("unet").weights(variant: "fp16")
        let shape = try #require(unet["conv_in"].shape(of: "weight"))
        let elements = try unet.build { weights in
            _ = try weights["conv_in"].tensor("weight", shape)
            return try weights.keys.reduce(0) { try $0 + weights.tensor($1).count }
        }
        #expect(elements == unet.keys.compactMap(unet.entry).reduce(0) { $0 + $1.elementCount })
    }
}
