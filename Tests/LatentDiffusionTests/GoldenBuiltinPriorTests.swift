import Foundation
import TensorKit
import TestSupport
import Testing
import Weights

@testable import LatentDiffusion

/// The shipped prior against the Python it was trained with (`Training/make_reference.py`).
@Suite struct GoldenBuiltinPriorTests {
    static let folder = projectRoot.appendingPathComponent("Models/builtin")

    @Test(arguments: [(DType.float32, 1e-4), (DType.bfloat16, 3e-2)]) func agreesWithItsReference(
        dtype: DType, tolerance: Double
    ) throws {
        let reference = try SafetensorsFile(at: Self.folder.appendingPathComponent("reference.safetensors")).tensors()
        let model = try LatentDiffusionModel(at: Self.folder, dtype: dtype)
        let picture = try reference.require("picture").to(dtype)
        #expect(try relativeError(model.autoencoder.encode(picture), reference.require("encoded")) < tolerance)
        let encoded = try reference.require("encoded").to(dtype)
        #expect(try relativeError(model.autoencoder.decode(encoded), reference.require("decoded")) < tolerance)
        let latent = try reference.require("latent")
        for (name, expected) in reference where name.hasPrefix("noise_t") {
            let timestep = try #require(Int(name.dropFirst("noise_t".count)))
            let noise = try model.unet(
                latent, timestep: timestep, conditioning: model.conditioning(height: 80, width: 112))
            #expect(try relativeError(noise, expected) < tolerance)
        }
    }

    /// Decoding is the adjoint of encoding, and what was decoded once is not changed by doing it again.
    @Test func theAutoencoderIsAnOrthogonalProjection() throws {
        let model = try LatentDiffusionModel(at: Self.folder)
        var random = RandomGenerator(seed: 4)
        let x = try random.normal([2, 3, 16, 24])
        let once = try model.autoencoder.decode(model.autoencoder.encode(x))
        let twice = try model.autoencoder.decode(model.autoencoder.encode(once))
        #expect(try relativeError(twice, once) < 1e-4)
        #expect(try once.norm() < x.norm())
        let y = try random.normal([2, 3, 16, 24])
        let projected = try model.autoencoder.decode(model.autoencoder.encode(y))
        let (left, right) = (try once.dot(y), try x.dot(projected))
        #expect(abs(left - right) < 1e-3 * abs(left))
    }

    /// White noise in the latents is as strong in the pixels as the decoder says.
    @Test func theDecodersGainIsTrue() throws {
        let model = try LatentDiffusionModel(at: Self.folder)
        var random = RandomGenerator(seed: 4)
        let noise = try model.autoencoder.decode(random.normal([4, model.autoencoder.latentChannels, 32, 32]))
        let deviation = try noise.norm() / Double(noise.count).squareRoot()
        let gain = try #require(model.autoencoder.decoderGain)
        #expect(abs(deviation / gain - 1) < 0.02)
    }

    @Test func verifiesAsSound() throws {
        let report = try ModelFolder(at: Self.folder).verify(checkingValues: true)
        #expect(report.isSound, "\(report)")
        #expect(report.components.reduce(0) { $0 + $1.byteCount } < 80_000_000)
    }
}
