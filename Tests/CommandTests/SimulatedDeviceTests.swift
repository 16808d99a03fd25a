import Foundation
import TestSupport
import Testing
import Weights

/// The real program on a simulated GPU: no option of it leaves a tensor on the host.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct SimulatedDeviceTests {
    let place: Workplace
    init() throws { place = try Workplace() }

    private static let quick = ["--model", "tiny", "--dtype", "float32", "--steps", "10", "--tau", "0.3"]

    private func succeed(_ arguments: [String]) async throws -> Outcome {
        let outcome = try await place.visionxl(arguments)
        try #require(outcome.succeeded, "\(arguments): \(outcome.messages)")
        return outcome
    }

    /// Options that change what is computed; the frames are the CPU's.
    @Test(arguments: [
        "--task inpaint+", "--task deblur+ --noise 0.02", "--task inpaint+ --prior-error 1",
        "--task average --first-estimate smooth",
        "--scale 2 --grey bt709", "--task deblur --data-step cg", "--task sr4 --start independent-noise --eta 0.5",
        "--task deblur --first-estimate-from clip.mkv --window 3",
        "--task inpaint --steadiness 2 --lambda 1 --frames-per-pass 2", "--task deblur --memory 2GiB",
    ])
    func restores(_ options: String) async throws {
        let words = options.split(separator: " ").map(String.init)
        try await place.clip("clip.mkv", frames: 7)
        for device in ["cpu", "simulated:cuda"] {
            let name = "\(device.prefix(3)).mkv"
            let outcome = try await succeed(
                ["restore", "clip.mkv", "-o", name, "--device", device] + Self.quick + words)
            #expect(outcome.messages.contains(" on \(device), "), "\(outcome)")
        }
        #expect(try await place.psnr("cpu.mkv", "sim.mkv") > 50)
    }

    /// In the type that a GPU is quick in, which is none of the CPU's ways.
    @Test(arguments: ["simulated:cuda", "simulated:mps"]) func restoresInItsOwnType(device: String) async throws {
        try await place.clip("clip.mkv", frames: 2)
        let outcome = try await succeed([
            "restore", "clip.mkv", "-o", "out.mkv", "--task", "deblur", "--model", "tiny", "--steps", "5", "--tau",
            "0.5", "--device",
            device,
        ])
        #expect(outcome.messages.contains("in bfloat16 on \(device), "), "\(outcome)")
    }

    /// Every method and every metric, with the CPU's scores.
    @Test func evaluates() async throws {
        try await place.clip("clip.mkv", frames: 3)
        var methods = "visionxl,paper,admm-tv,cg,adjoint,upsampling"
        if NetworkLibrary.isAvailable(.ffdnetColor) { methods += ",pixel,svi,dds" }
        var scores: [[String: Double]] = []
        for device in ["cpu", "simulated:cuda", "simulated:mps"] {
            let out = "out-\(device.suffix(3))"
            _ = try await succeed([
                "evaluate", "clip.mkv", "-o", out, "--size", "original", "--tasks", "inpaint+,deblur", "--methods",
                methods, "--metrics",
                "psnr,ssim,lpips,fvd,temporal-error,flicker", "--measurement", "float,8bit", "--model", "tiny",
                "--dtype", "float32",
                "--device", device,
            ])
            let document = try JSONSerialization.jsonObject(with: place.data(out + "/results.json")) as? [String: Any]
            let cells = try #require(document?["cells"] as? [[String: Any]])
            var found: [String: Double] = [:]
            for cell in cells {
                #expect(cell["failure"] == nil, "\(cell)")
                let settings = try #require(cell["settings"] as? [String: Any])
                let name = "\(settings["method"] ?? "") \(settings["task"] ?? "") \(settings["storage"] ?? "")"
                for (metric, score) in try #require(cell["scores"] as? [String: [String: Any]]) {
                    found["\(name) \(metric)"] = score["mean"] as? Double
                }
            }
            scores.append(found)
        }
        #expect(scores[0].count > 50)
        for other in scores.dropFirst() {
            #expect(Set(other.keys) == Set(scores[0].keys))
            for (name, score) in scores[0] {
                let difference = abs((other[name] ?? .infinity) - score)
                #expect(difference <= 0.02 * max(1, abs(score)), "\(name): \(score), \(other[name] ?? .nan)")
            }
        }
    }

    /// Nobody is led to it.
    @Test func isInNoHelp() async throws {
        for command in ["restore", "evaluate", "explain", "degrade", "compare", "doctor"] {
            let help = try await succeed(["help", command]).output
            #expect(!help.lowercased().contains("simulat"), "\(command)")
        }
        #expect(try await !succeed(["doctor"]).output.lowercased().contains("simulat"))
    }
}
