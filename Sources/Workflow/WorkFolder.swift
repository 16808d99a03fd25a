import Foundation
import InverseProblems
import Synchronization
import TensorKit
import VideoIO
import VisionXL
import Weights

/// What of a run is done, beside its output: the recipe, the plan, what windows have in common, finished windows, and encoded segments. Everything
/// is written beside and moved into place, so that whoever comes later finds only what is whole.
///
///     OUT.mkv.work/
///         identity.json        what the frames follow from; the last to be written when the folder is made
///         recipe.json          the recipe alone, for `--recipe`
///         plan.json            windows and segments
///         settled.json         type, threads, passes
///         journal.jsonl        a line for each thing that was finished
///         scenes/0000.safetensors
///         windows/000000.safetensors     frames, 16 bits, (N, H, W, 3)
///         segments/0000.mkv
final class WorkFolder: Sendable {
    let path: String
    let plan: WindowPlan
    let segments: [Range<Int>]
    private let lock: FileLock
    private let journal: Mutex<Journal>

    /// The folder's name for an output.
    static func path(for output: String) -> String {
        var name = Substring(output)
        while name.count > 1, name.hasSuffix("/") { name = name.dropLast() }
        return name + ".work"
    }

    private struct PlanFile: Codable {
        var plan: WindowPlan
        var segments: [Range<Int>]
    }

    private static let ours: Set<String> = [
        "identity.json", "recipe.json", "plan.json", "settled.json", "journal.jsonl", "scenes", "windows", "segments",
        "lock",
    ]

    private init(_ path: String, _ plan: WindowPlan, _ segments: [Range<Int>], _ lock: FileLock, _ journal: Journal) {
        (self.path, self.plan, self.segments, self.lock) = (path, plan, segments, lock)
        self.journal = Mutex(journal)
    }

    // MARK: Opening

    /// Whether a folder was made to its end.
    static func isWhole(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path + "/identity.json") }

    /// What an earlier run settled; nil where there was none.
    static func settled(in path: String) -> SettledNumbers? {
        FileManager.default.contents(atPath: path + "/settled.json").flatMap {
            try? JSONDecoder().decode(SettledNumbers.self, from: $0)
        }
    }

    /// What there was at a path.
    enum Opened {
        case goesOn(WorkFolder)
        /// Nothing to go on with; the folder is held, where there is one.
        case nothing(FileLock?)
    }

    /// What a file is called while it is written, by this program or by Foundation.
    private static func isRemains(_ name: String) -> Bool {
        name.contains(".partial-") || name.hasPrefix(".dat.nosync")
    }

    /// Opens what an earlier run of the same kind left.
    /// - Parameters:
    ///   - identity: asked for only where an earlier run left one.
    ///   - restarts: whether what is there is thrown away.
    /// - Throws: `WorkflowError` where another run is at work there, or what is there is another run's, or no run's at all.
    static func open(_ path: String, _ identity: () throws -> RunIdentity, restarts: Bool) throws -> Opened {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { return .nothing(nil) }
        guard isFolder.boolValue else {
            throw WorkflowError.message("\(path) is a file; name another folder with --work.")
        }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        // The lock is the first thing that a run makes: without it even a folder named like one of ours is somebody else's.
        // What systems leave in any folder that they show is nobody's.
        let others = names.filter { !ours.contains($0) && !isRemains($0) && ![".DS_Store", "Thumbs.db"].contains($0) }
        if let other = others.first ?? (FileLock.isThere(path + "/lock") ? nil : names.first) {
            throw WorkflowError.message(
                "\(path) holds other things (\(other)); name a new or empty folder with --work.")
        }
        let lock = try FileLock(path + "/lock", of: path)
        guard !restarts, let known = FileManager.default.contents(atPath: path + "/identity.json") else {
            // It was never whole, or is not wanted.
            try clear(path)
            return .nothing(lock)
        }
        let (kept, plan): (RunIdentity, PlanFile)
        do {
            kept = try JSONDecoder().decode(RunIdentity.self, from: known)
            plan = try JSONDecoder().decode(
                PlanFile.self, from: Data(contentsOf: URL(fileURLWithPath: path + "/plan.json")))
        } catch {
            throw WorkflowError.message(
                "\(path) was left by another version of this program; throw it away with --restart.")
        }
        let differences = try identity().differences(from: kept)
        guard differences.isEmpty else {
            throw WorkflowError.message(
                "\(path) is of another run, which differs in \(differences.prefix(6).joined(separator: ", ")); say the same to go on, "
                    + "--restart to begin anew, or another folder with --work.")
        }
        for folder in ["windows", "segments", "scenes", ""] {
            let inside = folder.isEmpty ? path : path + "/" + folder
            for name in (try? FileManager.default.contentsOfDirectory(atPath: inside)) ?? []
            where isRemains(name) {
                try? FileManager.default.removeItem(atPath: inside + "/" + name)
            }
        }
        return .goesOn(WorkFolder(path, plan.plan, plan.segments, lock, try Journal(path + "/journal.jsonl")))
    }

    /// Makes the folder.
    /// - Parameter lock: of the folder, where there was one; it has been held since `open`.
    /// - Throws: `WorkflowError` where it cannot be written.
    static func make(
        _ path: String, _ lock: FileLock?, _ identity: RunIdentity, plan: WindowPlan, segments: [Range<Int>],
        settled: SettledNumbers
    ) throws -> WorkFolder {
        func makeFolder(_ name: String) throws {
            do {
                try FileManager.default.createDirectory(atPath: path + name, withIntermediateDirectories: true)
            } catch {
                throw WorkflowError.message(
                    "\(path) cannot be made (\(error.localizedDescription)); name another folder with --work.")
            }
        }
        try makeFolder("")
        let held = try lock ?? FileLock(path + "/lock", of: path)
        if lock == nil, FileManager.default.fileExists(atPath: path + "/identity.json") {
            throw WorkflowError.message(
                "Another run has begun in \(path) meanwhile; the same command goes on with it.")
        }
        for name in ["/scenes", "/windows", "/segments"] { try makeFolder(name) }
        try JSONFile.write(identity.recipe, to: path + "/recipe.json")
        try JSONFile.write(PlanFile(plan: plan, segments: segments), to: path + "/plan.json")
        try JSONFile.write(settled, to: path + "/settled.json")
        try JSONFile.write(identity, to: path + "/identity.json")
        return WorkFolder(path, plan, segments, held, try Journal(path + "/journal.jsonl"))
    }

    private static func clear(_ path: String) throws {
        let there = Set((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [])
        // What says that it is whole goes first.
        for name in ["identity.json"] + ours.sorted().filter({ $0 != "lock" && $0 != "identity.json" })
        where there.contains(name) {
            do {
                try FileManager.default.removeItem(atPath: path + "/" + name)
            } catch {
                throw WorkflowError.message(
                    "\(path) cannot be emptied (\(error.localizedDescription)); remove it, or name another folder with --work."
                )
            }
        }
    }

    /// Takes it away: the result is in place.
    func remove() {
        try? Self.clear(path)
        for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] where Self.isRemains(name) {
            try? FileManager.default.removeItem(atPath: path + "/" + name)
        }
        try? FileManager.default.removeItem(atPath: path + "/lock")
        // Only where nothing else is in it.
        rmdir(path)
    }

    /// Of all that lies in it.
    var bytes: Int {
        ((try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? []).reduce(0) { sum, name in
            let attributes = try? FileManager.default.attributesOfItem(atPath: path + "/" + name)
            return sum + ((attributes?[.size] as? Int) ?? 0)
        }
    }

    // MARK: What is settled

    func settle(_ numbers: SettledNumbers) throws { try JSONFile.write(numbers, to: path + "/settled.json") }

    // MARK: Scenes

    private func sceneURL(_ number: Int) -> URL {
        URL(fileURLWithPath: path + "/scenes/" + number.padded(to: 4) + ".safetensors")
    }

    func hasScene(_ number: Int) -> Bool { FileManager.default.fileExists(atPath: sceneURL(number).path) }

    func scene(_ number: Int, device: Device) throws -> (record: ScenePreparation.Record, start: SceneStart?)? {
        hasScene(number) ? try ScenePreparation.read(sceneURL(number), to: device) : nil
    }

    func write(_ preparation: ScenePreparation, scene: Int) throws {
        try Self.noticingFullDisk(path) { try preparation.write(to: sceneURL(scene)) }
    }

    // MARK: Windows

    private func windowURL(_ index: Int) -> URL {
        URL(fileURLWithPath: path + "/windows/" + index.padded(to: 6) + ".safetensors")
    }

    func hasWindow(_ index: Int) -> Bool { FileManager.default.fileExists(atPath: windowURL(index).path) }

    /// Writes a window's frames, of 16 bits, and notes what was done.
    func write(_ frames: [VideoFrame], window index: Int, _ entry: WindowEntry) throws {
        guard let first = frames.first else { return }
        let shape = [frames.count, first.height, first.width, 3]
        try Self.noticingFullDisk(path) {
            try SafetensorsWriter.write(
                ["frames": .init(dtype: .u16, shape: shape)], to: windowURL(index), overwrite: true
            ) { _, sink in
                for frame in frames {
                    guard case .sixteenBit(let values) = frame.pixels else {
                        throw VideoError.badFrame("a window's frame has \(frame.bitDepth) bits")
                    }
                    try values.withUnsafeBytes(sink)
                }
            }
        }
        try journal.withLock { try $0.add(.init(window: index, done: entry)) }
    }

    /// The frames of a window.
    func window(_ index: Int) throws -> WindowFrames { try WindowFrames(windowURL(index)) }

    func removeWindow(_ index: Int) { try? FileManager.default.removeItem(at: windowURL(index)) }

    func removeScene(_ number: Int) { try? FileManager.default.removeItem(at: sceneURL(number)) }

    /// What was noted of the windows that are done, by number.
    var entries: [Int: WindowEntry] { journal.withLock { $0.windows } }

    // MARK: Segments

    func segmentPath(_ index: Int, ending: String) -> String {
        path + "/segments/" + index.padded(to: 4) + ending
    }

    func hasSegment(_ index: Int, ending: String) -> Bool {
        FileManager.default.fileExists(atPath: segmentPath(index, ending: ending))
    }

    func noteSegment(_ index: Int) throws { try journal.withLock { try $0.add(.init(segment: index)) } }

    /// What a full disk makes fail says so.
    private static func noticingFullDisk(_ path: String, _ work: () throws -> Void) throws {
        do {
            try work()
        } catch let error as SafetensorsError {
            let reason = "\(error)"
            guard reason.lowercased().contains("no space left") || reason.lowercased().contains("quota") else {
                throw error
            }
            throw WorkflowError.message(
                "The disk ran full while writing \(path); free some space and run again.")
        }
    }
}
