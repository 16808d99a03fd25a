import Foundation
import TensorKit
import Weights

/// The names of SDXL's original layout beside diffusers', as diffusers' own converter pairs them: `Benchmarks/reference/single_file.py`
/// wrote them down for a model of the size `StableDiffusionXL.tiny`.
public enum OriginalLayout {
    public struct Line: Sendable {
        public var component: String
        public var diffusers: String
        public var original: String
        /// How the one is read from the other: empty where they are equal, "squeezed", "transposed" or "part 0", "part 1", "part 2".
        public var reading: String
    }

    public static let lines: [Line] = {
        let file = projectRoot.appendingPathComponent("Tests/LatentDiffusionTests/Fixtures/single-file-names.txt")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map { line in
            let words = line.split(separator: "\t").map(String.init)
            return Line(
                component: words[0], diffusers: words[1], original: words[2], reading: words.count > 3 ? words[3] : "")
        }
    }()

    /// The tensors of a model in diffusers' layout under their original names and in their original shapes.
    public static func tensors(of model: URL, components: [String] = ["unet", "vae"]) throws -> [String: Tensor] {
        var result: [String: Tensor] = [:]
        for component in components {
            let tensors = try WeightStore(at: model.appendingPathComponent(component)).root
            for line in lines where line.component == component {
                let tensor = try tensors.tensor(line.diffusers)
                result[line.original] = line.reading == "squeezed" ? try tensor.unsqueezed(2).unsqueezed(3) : tensor
            }
        }
        return result
    }
}
