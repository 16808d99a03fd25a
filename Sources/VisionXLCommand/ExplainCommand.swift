import ArgumentParser
import Foundation
import VisionXL
import Workflow

struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Show what `restore` would do, and why.",
        discussion: """
            Takes the options of `restore` that say what is asked (not --force and --print-recipe, and --json is a flag here), and prints each number with its reason: what was said, or the rule that chose it. It also tells how long the run would take, for which the model is opened and its passes are tried. Nothing is restored; what depends on the frames' values says so.

              visionxl explain small.mp4 --task sr4
            """)

    @Argument(help: "A video, a folder of PNG or JPEG pictures, or a picture.")
    var input: String?

    @Option(name: .shortAndLong, help: "As for `restore`; it is not written.")
    var output: String?

    @OptionGroup
    var asked: RecipeOptions

    @Flag(help: "Print JSON.")
    var json = false

    mutating func validate() throws {
        if asked.recipe == nil, input == nil { throw ValidationError("Missing expected argument '<input>'") }
    }

    mutating func run() async throws {
        let recipe = try asked.recipe(input: input, output: output ?? (asked.recipe == nil ? "restored.mkv" : nil))
        let explanation = try await Explanation(recipe, asked.model.execution(overwrites: true))
        if json { return Console.print(try JSONFile.text(explanation).trimmingCharacters(in: .newlines)) }
        func width(_ text: (Policy.Row) -> String) -> Int { explanation.rows.map { text($0).count }.max() ?? 0 }
        func padded(_ text: String, _ width: Int) -> String {
            text.padding(toLength: max(width, text.count), withPad: " ", startingAt: 0)
        }
        func value(_ row: Policy.Row) -> String { row.value ?? "?" }
        let (names, options, values) = (width(\.name), width(\.option), width(value))
        for row in explanation.rows {
            let line = [
                padded(row.name, names), padded(row.option, options), padded(value(row), min(values, 32)), row.reason,
            ]
            Console.print(line.joined(separator: "  "))
        }
    }
}
