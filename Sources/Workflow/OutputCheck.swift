import Foundation

/// What would fail at the end is refused at the beginning.
public enum OutputCheck {
    /// Refuses an output that exists, or that is one of the inputs.
    public static func output(_ output: String, inputs: [String], overwrites: Bool) throws {
        for input in inputs where isSame(output, input) {
            throw WorkflowError.message("The output \(output) is the input; choose another name.")
        }
        if !overwrites && exists(output) {
            throw WorkflowError.message("\(output) exists; choose another name, or replace it with --force.")
        }
    }

    /// Refuses a file of numbers that cannot be written, or that would replace what it should not.
    /// - Parameter others: what is read and written beside it.
    public static func json(_ path: String, others: [String], overwrites: Bool) throws {
        for other in others where isSame(path, other) {
            throw WorkflowError.message(
                "\(path) is read or written here already; choose another name for the JSON file.")
        }
        try output(path, inputs: [], overwrites: overwrites)
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
            throw WorkflowError.message("\(path) is a folder; choose another name for the JSON file.")
        }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else {
            throw WorkflowError.message("\(path) cannot be written: there is no folder \(folder); make it first.")
        }
        guard access(folder, W_OK) == 0 else {
            throw WorkflowError.message(
                "\(path) cannot be written: the folder \(folder) is closed to you; choose another.")
        }
    }

    static func isSame(_ a: String, _ b: String) -> Bool {
        let (a, b) = (URL(fileURLWithPath: a).standardizedFileURL, URL(fileURLWithPath: b).standardizedFileURL)
        return a.resolvingSymlinksInPath().path == b.resolvingSymlinksInPath().path
    }

    /// Whether anything has this name, links to nothing included.
    private static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }
}
