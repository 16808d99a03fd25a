import Foundation
import VideoIO
import Workflow

/// `-` as an input or an output. A video is read several times, so what comes from another program is kept in a file
/// while it is worked on, and the result before it is handed on.
final class StandardStreams {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    /// A file with all that comes from standard input.
    func input() throws -> String {
        let path = folder.file("input")
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        var isEmpty = true
        while let part = try FileHandle.standardInput.read(upToCount: 1 << 20), !part.isEmpty {
            try Task.checkCancellation()
            try file.write(contentsOf: part)
            isEmpty = false
        }
        try file.close()
        guard !isEmpty else {
            throw WorkflowError.message("Nothing came from standard input; hand a video over, such as y4m.")
        }
        return path
    }

    /// Where windows lie: nobody could go on with them, for the same input does not come again.
    var workFolder: String { folder.file("work") }

    /// Where the result is put before `deliver`.
    var output: String { folder.file("output.y4m") }

    /// Hands the result on to standard output.
    func deliver() throws {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: output))
        defer { try? file.close() }
        while let part = try file.read(upToCount: 1 << 20), !part.isEmpty {
            try Task.checkCancellation()
            try FileHandle.standardOutput.write(contentsOf: part)
        }
    }
}
