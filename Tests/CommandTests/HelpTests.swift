import ArgumentParser
import Foundation
import TestSupport
import Testing

@testable import VisionXLCommand

/// What `--help` says, held against the files in Snapshots. `VISIONXL_WRITE_SNAPSHOTS=1 swift test --filter HelpTests` writes them anew.
@Suite struct HelpTests {
    static let isWriting = ProcessInfo.processInfo.environment["VISIONXL_WRITE_SNAPSHOTS"] != nil

    static let commands: [(name: String, type: any ParsableCommand.Type)] = [
        ("visionxl", VisionXLCommand.self), ("visionxl-restore", RestoreCommand.self),
        ("visionxl-explain", ExplainCommand.self), ("visionxl-preview", PreviewCommand.self),
        ("visionxl-degrade", DegradeCommand.self),
        ("visionxl-compare", CompareCommand.self), ("visionxl-evaluate", EvaluateCommand.self),
        ("visionxl-doctor", DoctorCommand.self), ("visionxl-models", ModelsCommand.self),
        ("visionxl-models-list", ModelsCommand.List.self), ("visionxl-models-pull", PullCommand.self),
        ("visionxl-models-verify", ModelsCommand.Verify.self), ("visionxl-models-random", RandomCommand.self),
    ]

    @Test(arguments: commands.indices) func help(index: Int) throws {
        let (name, type) = Self.commands[index]
        let text = VisionXLCommand.helpMessage(for: type, columns: 80) + "\n"
        let file = projectRoot.appendingPathComponent("Tests/CommandTests/Snapshots/\(name).txt")
        if Self.isWriting {
            try Data(text.utf8).write(to: file)
        } else {
            let stored = try String(decoding: Data(contentsOf: file), as: UTF8.self)
            #expect(text == stored, "the help of \(name) has changed; if that is meant, write the snapshots anew")
        }
    }

    /// No command was forgotten above.
    @Test func everyCommandHasASnapshot() {
        func all(_ type: any ParsableCommand.Type) -> [String] {
            ["\(type)"] + type.configuration.subcommands.flatMap { all($0) }
        }
        #expect(Set(all(VisionXLCommand.self)) == Set(Self.commands.map { "\($0.type)" }))
    }
}
