import Foundation
import TestSupport
import Testing

@testable import Weights

@Suite struct NetworkLibraryTests {
    @Test func whereNetworksAreLookedFor() throws {
        let place = try TemporaryFolder()
        let root = URL(fileURLWithPath: place.path)
        let deep = root.appendingPathComponent("a/b")
        let other = root.appendingPathComponent("other")
        for folder in [
            deep, root.appendingPathComponent(".deps/networks"), root.appendingPathComponent("a/.deps/networks"), other,
        ] {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        }
        let above = root.appendingPathComponent(".deps/networks/ffdnet-color.safetensors")
        let nearer = root.appendingPathComponent("a/.deps/networks/lpips-vgg16.safetensors")
        for file in [above, nearer, root.appendingPathComponent(".deps/networks/lpips-vgg16.safetensors")] {
            try Data().write(to: file)
        }
        // The nearest folder that has the file.
        #expect(
            try NetworkLibrary.url(of: .lpipsVGG16, named: nil, above: [other, deep]).path
                == place.file(".deps/networks/lpips-vgg16.safetensors"))
        #expect(try NetworkLibrary.url(of: .lpipsVGG16, named: "", above: [deep]).path == nearer.path)
        #expect(try NetworkLibrary.url(of: .ffdnetColor, named: nil, above: [deep]).path == above.path)
        #expect(
            try NetworkLibrary.url(of: .lpipsVGG16, named: nearer.deletingLastPathComponent().path, above: []).path
                == nearer.path)
        // A folder that is named is the only one.
        #expect(
            throws: WeightsError.networkNotFound(name: "ffdnet-color", searched: ["VISIONXL_NETWORKS=\(other.path)"])
        ) {
            try NetworkLibrary.url(of: .ffdnetColor, named: other.path, above: [deep])
        }
        let error = #expect(throws: WeightsError.self) {
            try NetworkLibrary.url(of: .i3dKinetics400, named: nil, above: [deep])
        }
        let text = try #require(error).description
        #expect(text.contains("i3d-kinetics400") && text.contains("run `make setup`") && text.hasSuffix("."))
    }
}
