import Foundation

extension VideoFrame {
    /// Writes the frame as a PNG picture of its own bit depth.
    /// - Throws: `VideoError.targetExists` unless `overwrite` is set, `cannotWrite`, `diskFull`, and what ffmpeg fails with.
    public func writePNG(to path: String, overwrite: Bool = false) async throws {
        if !overwrite && FileManager.default.fileExists(atPath: path) { throw VideoError.targetExists(path) }
        let target = URL(fileURLWithPath: path)
        // Looked at here, so that the message names the picture and not what it is made in.
        var isFolder: ObjCBool = false
        let parent = target.deletingLastPathComponent().path
        guard FileManager.default.fileExists(atPath: parent, isDirectory: &isFolder), isFolder.boolValue else {
            throw VideoError.cannotWrite(path, reason: "there is no folder \"\(parent)\"")
        }
        // A folder of one picture beside the target, so that the picture is moved into place when it is whole.
        let folder = target.deletingLastPathComponent()
            .appendingPathComponent(
                ".\(target.lastPathComponent).partial-\(ProcessInfo.processInfo.processIdentifier)", isDirectory: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let writer = try await VideoWriter(
            to: folder.path, width: width, height: height, bitDepth: bitDepth, frameRate: .fps25, encoding: .png,
            overwrite: true)
        do {
            try await writer.append(self)
            try await writer.finish()
        } catch {
            await writer.cancel()
            if case VideoError.diskFull = error { throw VideoError.diskFull(path) }
            throw error
        }
        // In one step, whether there is an old picture or not.
        guard rename(folder.appendingPathComponent(Pictures.name(0)).path, target.path) == 0 else {
            throw VideoError.cannotWrite(path, reason: String(cString: strerror(errno)))
        }
    }
}
