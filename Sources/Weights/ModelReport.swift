import Foundation

/// What a model's folder holds and what is wrong with it.
public struct ModelReport: Sendable, Hashable, Codable, CustomStringConvertible {
    /// One safetensors file.
    public struct File: Sendable, Hashable, Codable {
        public let name: String
        public let tensorCount: Int
        public let parameterCount: Int
        /// Bytes of tensor data.
        public let byteCount: Int
        /// The types in the file, as the format spells them, in order.
        public let dtypes: [String]
    }

    /// One component's folder.
    public struct Component: Sendable, Hashable, Codable {
        public let name: String
        /// The class that `model_index.json` gives it.
        public let className: String?
        /// Every safetensors file of the folder, all variants.
        public var files: [File] = []
        /// Tensors, parameters and bytes of the weights that would be used: one variant, all its shards.
        public var tensorCount = 0
        public var parameterCount = 0
        public var byteCount = 0
        /// A sentence for each thing that is wrong.
        public var problems: [String] = []
    }

    public let path: String
    public var components: [Component]
    /// What `model_index.json` names, is not there, and is not needed: the text encoders and tokenizers, where none of them was fetched, and
    /// what other pipelines have.
    public var absent: [String] = []

    /// Whether nothing is wrong and there are weights at all.
    public var isSound: Bool { components.allSatisfy(\.problems.isEmpty) && components.contains { $0.tensorCount > 0 } }

    public var description: String {
        var lines = [path]
        for component in components {
            lines.append("  \(component.name)\(component.className.map { " (\($0))" } ?? "")")
            for file in component.files {
                lines.append(
                    "    \(file.name): \(file.tensorCount) tensors, \(file.parameterCount) parameters, \(file.byteCount) bytes, "
                        + (file.dtypes.isEmpty ? "empty" : file.dtypes.joined(separator: " ")))
            }
            lines += component.problems.map { "    problem: \($0)" }
        }
        if !absent.isEmpty {
            lines.append("  not there, and not needed without a prompt: \(absent.joined(separator: ", "))")
        }
        let parameters = components.reduce(0) { $0 + $1.parameterCount }
        lines.append(isSound ? "sound: \(parameters) parameters" : "not sound")
        return lines.joined(separator: "\n")
    }
}

extension ModelFolder {
    /// Opens every component, checks every header and index, and reports all that is wrong instead of stopping at the first.
    ///
    /// A folder without components but with weights of its own (a VAE by itself) is reported as one component named ".".
    /// - Parameters:
    ///   - variant: As for `WeightStore`.
    ///   - checkingValues: Whether to look for NaN and infinities too, which reads all of the data.
    public func verify(variant: String? = nil, checkingValues: Bool = false) -> ModelReport {
        let present = componentNames
        var components: [ModelReport.Component] = []
        if present.isEmpty {
            components.append(ComponentFolder(url: url).verify(".", nil, variant, checkingValues))
        }
        for name in present {
            let folder = ComponentFolder(url: url.appendingPathComponent(name))
            // The hub's folders also have exports for other programs in them, which the index does not name.
            if !classNames.isEmpty, classNames[name] == nil, folder.safetensorsNames.isEmpty { continue }
            components.append(folder.verify(name, classNames[name], variant, checkingValues))
        }
        let missing = classNames.keys.sorted().filter { !contains($0) }
        let text = classNames.keys.filter { $0.hasPrefix("text_encoder") || $0.hasPrefix("tokenizer") }
        let spared = Set(text.allSatisfy(missing.contains) ? text : []).union([
            "safety_checker", "feature_extractor", "image_encoder",
        ])
        for (name, className) in classNames.sorted(by: { $0.key < $1.key })
        where missing.contains(name) && !spared.contains(name) {
            let problem = WeightsError.noComponent(model: url.path, component: name, present: present)
            components.append(.init(name: name, className: className, problems: [problem.description]))
        }
        return ModelReport(path: url.path, components: components, absent: missing.filter(spared.contains))
    }
}

extension ComponentFolder {
    fileprivate func verify(
        _ name: String, _ className: String?, _ variant: String?, _ checkingValues: Bool
    )
        -> ModelReport.Component
    {
        var report = ModelReport.Component(name: name, className: className)
        for fileName in safetensorsNames {
            do throws(SafetensorsError) {
                let file = try SafetensorsFile(at: url.appendingPathComponent(fileName))
                let entries = file.entries.values
                report.files.append(
                    .init(
                        name: fileName, tensorCount: entries.count,
                        parameterCount: entries.reduce(0) { $0 + $1.elementCount },
                        byteCount: entries.reduce(0) { $0 + $1.range.count },
                        dtypes: Set(entries.map(\.dtype.rawValue)).sorted()))
                if checkingValues, case let bad = file.nonFiniteTensors(), !bad.isEmpty {
                    report.problems.append(
                        "\(file.url.path): NaN or infinity in \(bad.count) of its tensors (\(listed(bad))); download the file again."
                    )
                }
            } catch {
                report.problems.append(error.description)
            }
        }
        do throws(WeightsError) {
            let store = try weights(variant: variant)
            report.tensorCount = store.keys.count
            for entry in store.keys.compactMap(store.entry) {
                report.parameterCount += entry.elementCount
                report.byteCount += entry.range.count
            }
        } catch .noWeights where safetensorsNames.isEmpty && configURL?.lastPathComponent != "config.json" {
            // A scheduler or a tokenizer has none.
        } catch .file(let error) where report.problems.contains(error.description) {
            // Said already.
        } catch {
            report.problems.append(error.description)
        }
        if configURL == nil {
            report.problems.append(
                WeightsError.noConfig(path: url.appendingPathComponent("config.json").path).description)
        }
        return report
    }
}
