import ArgumentParser
import Foundation
import Synchronization
import TensorKit
import Workflow

/// The program `visionxl`.
@main
struct VisionXLCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "visionxl",
        abstract: "Restore degraded video with a latent diffusion prior, without training.",
        discussion: """
            Say what went wrong with a video (blurred, shrunk, holes, averaged frames, or a mix) and get a sharp, steady one back:

              visionxl restore small.mp4 -o large.mkv --task sr4
            """,
        version: "visionxl 0.1.0",
        subcommands: [
            RestoreCommand.self, PreviewCommand.self, ExplainCommand.self, DegradeCommand.self, CompareCommand.self,
            EvaluateCommand.self,
            DoctorCommand.self, ModelsCommand.self,
        ])

    static func main() async {
        // Before there are threads.
        Heap.shareBetweenThreads()
        let interrupted = Mutex("interrupted; nothing was left under the output's name")
        do {
            var command = try parseAsRoot()
            let outcome = await Interruption.run {
                do {
                    if var asynchronous = command as? any AsyncParsableCommand {
                        try await asynchronous.run()
                    } else {
                        try command.run()
                    }
                } catch {
                    // Now it shows what is left.
                    if let words = (command as? any Resumable)?.interrupted { interrupted.withLock { $0 = words } }
                    throw error
                }
            }
            if case .failure(let error) = outcome { throw error }
        } catch is CancellationError {
            Console.error(interrupted.withLock { $0 })
            Foundation.exit(ExitStatus.interrupted.rawValue)
        } catch let error where exitCode(for: error) == .validationFailure {
            Console.error("\(sentence(message(for: error))) `\(helpCommand)` shows what can be said.")
            Foundation.exit(ExitStatus.usage.rawValue)
        } catch let error where exitCode(for: error) == .failure && !(error is ExitCode) {
            Console.error(describe(error))
            Foundation.exit(ExitStatus.failed.rawValue)
        } catch {
            exit(withError: error)
        }
    }

    /// The command line that shows the help of the command that was meant.
    private static var helpCommand: String {
        ["visionxl", meant, "--help"].compactMap { $0 }.joined(separator: " ")
    }

    /// The name of the command that was meant.
    private static var meant: String? {
        let known = configuration.subcommands.map { $0._commandName }
        return CommandLine.arguments.dropFirst().first { known.contains($0) }
    }

    /// What is wrong, in words for the user: errors of this package are sentences, those of the system know a short text.
    private static func describe(_ error: any Error) -> String {
        type(of: error) is NSError.Type ? error.localizedDescription : "\(error)"
    }

    private static func sentence(_ text: String) -> String {
        text.hasSuffix(".") || text.hasSuffix("?") ? text : text + "."
    }
}

/// A command that may keep what it has done when it is interrupted.
protocol Resumable {
    /// What to say then.
    var interrupted: String { get }
}
