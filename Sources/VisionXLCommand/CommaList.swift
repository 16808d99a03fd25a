import ArgumentParser
import Foundation
import Metrics

/// Names as the help and refusals list them.
func names(_ values: [some RawRepresentable<String>]) -> String { names(values.map(\.rawValue)) }
func names(_ values: [String]) -> String { values.joined(separator: ", ") }

/// A list written with commas, `sr4,deblur`: each word once, in its own order.
func list<Element: Equatable>(
    _ text: String, option: String, _ known: [String], _ element: (String) -> Element?
) throws -> [Element] {
    var result: [Element] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
        let word = part.trimmingCharacters(in: .whitespaces)
        guard let value = element(word) else {
            throw ValidationError(
                "\(option) takes a list, with commas, of \(names(known)); \"\(word)\" is none of them.")
        }
        if !result.contains(value) { result.append(value) }
    }
    return result
}

extension Metric {
    /// The metrics of a list like `psnr,lpips`, each once and in their own order.
    static func named(_ text: String) throws -> [Metric] {
        let named = try list(text, option: "--metrics", allCases.map(\.rawValue), Metric.init)
        return allCases.filter(named.contains)
    }

    /// What `--metrics` says of itself.
    static func help(default names: String) -> ArgumentHelp {
        ArgumentHelp("What is measured, of the list above. (default: \(names))", valueName: "list")
    }

    /// A line for each metric, for a command's help.
    static let overview =
        "Metrics, of pixels from -1 to 1:\n\n"
        + allCases.map {
            "  \($0.rawValue.padding(toLength: 14, withPad: " ", startingAt: 0))  \($0.explanation)"
        }.joined(separator: "\n")
}
