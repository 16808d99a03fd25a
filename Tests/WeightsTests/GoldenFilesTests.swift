import Foundation
import TensorKit
import Testing

@testable import Weights

/// Files that other programs wrote: the reference data beside the package.
@Suite("Golden files", .enabled(if: Golden.isPresent, "No reference data; set VISIONXL_GOLDEN or put it at ../shared/golden"))
struct GoldenFilesTests {
    @Test(arguments: [
        ("ddim", 3), ("operators", 21), ("pipeline-deblur+", 21), ("pipeline-inpaint", 21), ("pipeline-sr4+", 21), ("unet", 7),
        ("vae", 6),
        ("vae_tiny", 3), ("tiny-sdxl/unet/diffusion_pytorch_model", 840), ("tiny-sdxl/vae/diffusion_pytorch_model", 244),
        ("tiny-sdxl/vae_tiny/diffusion_pytorch_model", 134),
    ])
    func keysAreCounted(name: String, count: Int) throws {
        let file = try SafetensorsFile(at: Golden.folder.appendingPathComponent("\(name).safetensors"))
        #expect(file.entries.count == count)
        #expect(file.nonFiniteTensors().isEmpty)
    }

    @Test func theTinyModelIsSound() throws {
        let model = try ModelFolder(at: Golden.folder.appendingPathComponent("tiny-sdxl"))
        #expect(model.componentNames == ["scheduler", "unet", "vae", "vae_tiny"])
        let report = model.verify(checkingValues: true)
        #expect(report.isSound, "\(report)")
        #expect(report.components.map(\.tensorCount) == [0, 840, 244, 134])
        struct UNet: Decodable { var in_channels: Int }
        #expect(try model.component("unet").config(as: UNet.self).in_channels == 4)
    }

    @Test(.needsEngine) func aWholeNetworkIsUsed() throws {
        let unet = try ModelFolder(at: Golden.folder.appendingPathComponent("tiny-sdxl")).component("unet").weights(variant: "fp16")
        let shape = try #require(unet["conv_in"].shape(of: "weight"))
        let elements = try unet.build { weights in
            _ = try weights["conv_in"].tensor("weight", shape)
            return try weights.keys.reduce(0) { try $0 + weights.tensor($1).count }
        }
        #expect(elements == unet.keys.compactMap(unet.entry).reduce(0) { $0 + $1.elementCount })
    }
}

/// The folder that VISIONXL_GOLDEN names, or ../shared/golden beside the package.
enum Golden {
    static var folder: URL {
        if let named = ProcessInfo.processInfo.environment["VISIONXL_GOLDEN"], !named.isEmpty { return URL(fileURLWithPath: named) }
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return package.deletingLastPathComponent().appendingPathComponent("shared/golden")
    }

    static var isPresent: Bool { FileManager.default.fileExists(atPath: folder.appendingPathComponent("ddim.safetensors").path) }
}
