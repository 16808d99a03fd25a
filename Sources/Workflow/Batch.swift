import Foundation
import VideoIO

/// Several files restored in the same way, one after the other, into a folder.
///
///     let batch = try Batch(["a.mp4", "films/"], into: "restored")
///     let results = try await batch.run { Recipe(input: $0.input, output: $0.output, problem: problem) }
///
/// What is there already is left as it is: the same batch again does what is left.
public struct Batch: Sendable {
    public struct Item: Sendable, Equatable {
        public let input: String
        public let output: String
    }

    public enum Outcome: Sendable {
        case restored(RestorationLog)
        /// What it would come to, where nothing was to be done.
        case wouldCome(Outlook)
        /// The output was there.
        case wasThere
        /// Why, in a sentence.
        case failed(String)
    }

    public let items: [Item]

    /// - Parameters:
    ///   - inputs: videos, folders of pictures, and folders of videos, of which each video is taken. Of a folder with both, what is more counts.
    ///   - folder: is made where it is missing. A result has its input's name, and its kind where that can be written and
    ///     holds the codec; else a .mkv. That of pictures is a folder of pictures.
    ///   - codec: that is asked for.
    /// - Throws: `WorkflowError` where two results would have one name, or a result its input's.
    public init(_ inputs: [String], into folder: String, codec: VideoEncoding.Codec? = nil) throws {
        let files = try inputs.flatMap { try Self.videos(in: $0) }
        var taken: [String: String] = [:]
        var items: [Item] = []
        for input in files {
            let output = Self.output(of: input, in: folder, codec: codec)
            if let other = taken[output] {
                // The same file twice is done once.
                if other == input { continue }
                throw WorkflowError.message(
                    "\(other) and \(input) would both be written to \(output); restore them into two folders.")
            }
            guard !OutputCheck.isSame(input, output) else {
                throw WorkflowError.message(
                    "\(input) would be replaced by its own result; restore into another folder than that of the inputs."
                )
            }
            taken[output] = input
            items.append(Item(input: input, output: output))
        }
        self.items = items
    }

    /// Paths in a text file, one a line; empty lines and those that begin with # are left out. Relative ones are the
    /// file's folder's.
    /// - Throws: `WorkflowError` for a file that cannot be read or names nothing.
    public static func list(_ path: String) throws -> [String] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw WorkflowError.message("\(path) cannot be read; name a text file with one path on each line.")
        }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
        // Some editors begin with a byte order mark.
        let text = String(decoding: data.starts(with: [0xEF, 0xBB, 0xBF]) ? data.dropFirst(3) : data, as: UTF8.self)
        let lines = text.split(whereSeparator: \.isNewline)
            .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty && !$0.hasPrefix("#") }
        guard !lines.isEmpty else { throw WorkflowError.message("\(path) names no file; write one path on each line.") }
        return lines.map { $0.hasPrefix("/") ? $0 : folder.appendingPathComponent($0).path }
    }

    /// Whether a path is a folder of videos.
    public static func isFolderOfVideos(_ path: String) -> Bool { !((try? films(in: path)) ?? []).isEmpty }

    private static func videos(in path: String) throws -> [String] {
        let films = try films(in: path)
        return films.isEmpty ? [path] : films
    }

    /// The videos of a folder, by name; none where it holds pictures, or is no folder.
    private static func films(in path: String) throws -> [String] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
            return []
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: path)
            .filter { !$0.hasPrefix(".") && FileNames.isVideo($0) }
        // A stray video among frames is no film of its own, and a poster among films no frame.
        if VideoReader.pictures(in: path)?.count ?? 0 > names.count { return [] }
        let sorted = names.sorted { $0.compare($1, options: .numeric) == .orderedAscending }
        return sorted.map { (path as NSString).appendingPathComponent($0) }
    }

    private static func output(of input: String, in folder: String, codec: VideoEncoding.Codec?) -> String {
        var isFolder: ObjCBool = false
        let name = URL(fileURLWithPath: input).lastPathComponent
        _ = FileManager.default.fileExists(atPath: input, isDirectory: &isFolder)
        let stem = isFolder.boolValue ? name : (name as NSString).deletingPathExtension
        let place = (folder as NSString).appendingPathComponent(stem)
        if codec == .png || codec == nil && (isFolder.boolValue || FileNames.isPicture(name)) { return place + "/" }
        let own = isFolder.boolValue ? nil : try? Container(path: name)
        guard let own, own != .pictures, codec?.isHeld(by: own) ?? true else { return place + ".mkv" }
        return place + "." + own.rawValue
    }

    /// Restores one after the other. What fails does not stop the others.
    /// - Parameters:
    ///   - isTrial: whether it is only told what each would come to.
    ///   - recipe: of each.
    ///   - tell: called from whatever thread the work is on.
    ///   - starting: called before each, with its number from 0.
    ///   - done: called behind each.
    /// - Returns: what became of each, in order.
    /// - Throws: `CancellationError`, and `WorkflowError` for a folder that cannot be made.
    public func run(
        _ execution: Execution = Execution(), isTrial: Bool = false, recipe: (Item) throws -> Recipe,
        tell: @escaping @Sendable (Item, RestorationEvent) -> Void = { _, _ in },
        starting: (Int, Item) -> Void = { _, _ in }, done: (Item, Outcome) -> Void = { _, _ in }
    ) async throws -> [(item: Item, outcome: Outcome)] {
        for folder in isTrial ? [] : Set(items.map { URL(fileURLWithPath: $0.output).deletingLastPathComponent().path })
        {
            do {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            } catch {
                throw WorkflowError.message(
                    "The folder \(folder) cannot be made (\(error.localizedDescription)); choose another with -o.")
            }
        }
        var results: [(item: Item, outcome: Outcome)] = []
        for (index, item) in items.enumerated() {
            try Task.checkCancellation()
            starting(index, item)
            let outcome: Outcome
            if !execution.overwrites, FileManager.default.fileExists(atPath: item.output) {
                outcome = .wasThere
            } else {
                do {
                    let recipe = try recipe(item)
                    outcome =
                        isTrial
                        ? .wouldCome(try await Workflow.outlook(recipe, execution) { tell(item, $0) })
                        : .restored(try await Workflow.restore(recipe, execution) { tell(item, $0) })
                } catch {
                    // Stopping is meant for all of them.
                    if error is CancellationError || Task.isCancelled { throw CancellationError() }
                    outcome = .failed(type(of: error) is NSError.Type ? error.localizedDescription : "\(error)")
                }
            }
            results.append((item, outcome))
            done(item, outcome)
        }
        return results
    }
}
