import Foundation
import Subprocess

#if canImport(System)
import System
#else
import SystemPackage
#endif

/// What a file's bytes must come to.
public enum Checksum: Sendable, Hashable {
    /// Of a file in the hub's large-file store.
    case sha256(String)
    /// Of a file that git itself keeps: SHA-1 over `blob SIZE\0` and the bytes. It keeps out damage, not malice.
    case gitBlob(String)

    /// The checksum in lower-case hexadecimal.
    var hexadecimal: String {
        switch self {
        case .sha256(let text), .gitBlob(let text): text
        }
    }

    /// The checksum of this kind that the file at `url` has, in lower-case hexadecimal.
    ///
    /// The system's `sha256sum`, or `shasum` where there is none, reads the file: a hash of our own would be one more to trust, and a package
    /// for it costs more to compile than all the rest. Cost: the file is read once, at 0.3 to 2 GB/s.
    /// - Throws: `HubError.checksumToolMissing`, `HubError.file`, `CancellationError`.
    func found(in url: URL) async throws -> String {
        let bits: Int, header: String
        switch self {
        case .sha256: (bits, header) = (256, "")
        // printf of the shell makes a zero of `\0`.
        case .gitBlob: (bits, header) = (1, "blob \(sizeOfFile(url) ?? 0)\\0")
        }
        var options = PlatformOptions()
        // A group of its own: Ctrl-C is for this program, and a cancelled task ends the shell with all that it started.
        options.processGroupID = 0
        options.teardownSequence = [.send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .zero)]
        let configuration = Configuration(
            executable: .path("/bin/sh"), arguments: ["-c", Self.script, "checksum", "\(bits)", header],
            platformOptions: options)
        do {
            let file = try FileDescriptor.open(FilePath(url.path), .readOnly, options: .closeOnExec)
            let result = try await run(
                configuration, input: .fileDescriptor(file, closeAfterSpawningProcess: true),
                output: .string(limit: 1 << 10),
                error: .string(limit: 1 << 16))
            try Task.checkCancellation()
            if result.terminationStatus == .exited(127) { throw HubError.checksumToolMissing("sha\(bits)sum") }
            // A file that cannot be read to its end has a checksum, too: that of its beginning.
            let sum = result.standardOutput.prefix { $0 != " " }.lowercased()
            guard result.terminationStatus.isSuccess, result.standardError.isEmpty,
                RemoteFile.isHash(sum, digits: bits == 1 ? 40 : 64)
            else {
                throw HubError.file(path: url.path, reason: "its checksum is not known: \(result.standardError)")
            }
            return sum
        } catch let error as Errno {
            throw HubError.file(path: url.path, reason: error.description)
        } catch let error as SubprocessError {
            try Task.checkCancellation()
            throw HubError.file(path: url.path, reason: "sha\(bits)sum could not be run: \(error)")
        }
    }

    private static let script = """
        { printf "$2"; cat; } | if command -v "sha$1sum" >/dev/null; then "sha$1sum"; else shasum -a "$1"; fi
        """
}
