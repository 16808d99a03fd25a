import ArgumentParser
import Foundation
import LatentDiffusion
import TensorKit
import VideoIO
import Weights
import Workflow

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Show what was found: engine, devices, ffmpeg, models, networks, memory.",
        discussion: "Ends with an error when something is missing that a restoration needs.")

    mutating func run() async throws {
        var problems = 0
        func line(_ name: String, _ text: String) {
            Console.print(name.padding(toLength: 12, withPad: " ", startingAt: 0) + text)
        }
        func problem(_ name: String, _ error: any Error) {
            problems += 1
            line(name, "PROBLEM: \(error)")
        }
        let processor = Processor.current
        line("processor", "\(processor.name), \(ProcessInfo.processInfo.activeProcessorCount) cores")
        line("memory", Usage.describe(bytes: Int(ProcessInfo.processInfo.physicalMemory)))
        do {
            let engine = try Engine.load()
            line("engine", "PyTorch \(engine.version), \(engine.libraryPath)")
            line("threads", "\(try Engine.threadCount())")
            line("cpu", "runs networks in \(Device.cpu.runningType.rawValue)")
            for index in 0..<Engine.cudaDeviceCount {
                // What is free would take half a gigabyte of each to ask.
                let device = Device.cuda(index)
                var parts: [String] = []
                if let hardware = device.hardware { parts += [hardware.name, Usage.describe(bytes: hardware.memory)] }
                if let (major, minor) = device.computeCapability {
                    parts.append("compute capability \(major).\(minor)")
                }
                parts.append("runs networks in \(device.runningType.rawValue)")
                line("\(device)", parts.joined(separator: ", "))
            }
            if Engine.cudaDeviceCount == 0 {
                do { try Engine.require(.cuda(0)) } catch { line("cuda", "none (\(reason(error)))") }
            }
        } catch { problem("engine", error) }
        do { line("ffmpeg", try await VideoTools.version()) } catch { problem("ffmpeg", error) }
        if ModelLibrary.names.isEmpty {
            do { _ = try ModelLibrary.url(named: "builtin") } catch { problem("models", error) }
        }
        for (name, url) in ModelLibrary.names { line("model", "\(name), \(url.path)") }
        for network in NetworkLibrary.Network.allCases {
            // Without them only the metrics that use them are missing.
            do { line("network", "\(network.rawValue), \(try NetworkLibrary.url(of: network).path)") } catch {
                line("network", "none: \(error)")
            }
        }
        if problems > 0 { throw ExitCode.failure }
    }

    private func reason(_ error: any Error) -> String {
        if case TensorError.deviceUnavailable(_, let reason) = error { reason } else { "\(error)" }
    }
}
