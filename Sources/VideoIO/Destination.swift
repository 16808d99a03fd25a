import Foundation
import Synchronization

/// Where the result goes: a hidden name beside the target while it is written, the target's own name once it is whole.
///
/// So whatever happens on the way, there is never half a file under the final name.
struct Destination: Sendable {
    let target: String
    /// `.NAME.partial-PID-RANDOM.EXT` in the target's folder.
    let partial: String
    let isFolder: Bool
    let overwrite: Bool

    /// Refuses an existing target and a folder that cannot be written to.
    init(target: String, isFolder: Bool, overwrite: Bool) throws(VideoError) {
        // Without a trailing slash, so that the last component is the name.
        let url = URL(fileURLWithPath: target)
        self.target = url.path
        self.isFolder = isFolder
        self.overwrite = overwrite
        let (folder, name) = (url.deletingLastPathComponent().path, url.lastPathComponent)
        guard name != "/", name != "..", name != "." else {
            throw .unsupportedTarget(target, reason: "it names no file; give it a name")
        }
        let id = "\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let ending = url.pathExtension
        partial =
            folder + "/" + Self.beginning(url, isFolder) + id + (isFolder || ending.isEmpty ? "" : ".\(ending)")

        try checkTarget()
        var folderExists: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder, isDirectory: &folderExists), folderExists.boolValue else {
            throw .cannotWrite(target, reason: "there is no folder \"\(folder)\"")
        }
        try claim()
    }

    /// What all partial names for a target begin with.
    private static func beginning(_ url: URL, _ isFolder: Bool) -> String {
        let stem = isFolder || url.pathExtension.isEmpty ? url : url.deletingPathExtension()
        return ".\(stem.lastPathComponent).partial-"
    }

    /// Removes what was left of a target by processes that are gone, for who knows that no other is at work. A folder that one of them had moved
    /// aside gets its name back where nothing took its place.
    static func removeRemains(of target: String, isFolder: Bool) {
        let url = URL(fileURLWithPath: target)
        let folder = url.deletingLastPathComponent()
        let (beginning, ending) = (beginning(url, isFolder), isFolder ? "" : url.pathExtension)
        let tail = ending.isEmpty ? "" : "." + ending
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        where name.hasPrefix(beginning) {
            // "1234-567.mp4", for folders nothing behind the numbers, or ".old".
            let rest = name.dropFirst(beginning.count)
            let numbers = rest.prefix { $0.isASCII && ($0.isNumber || $0 == "-") }.split(separator: "-")
            guard numbers.count == 2, let process = pid_t(numbers[0]) else { continue }
            let number = "\(process)-\(numbers[1])"
            let (path, isAside) = (folder.path + "/" + name, isFolder && rest == number + aside)
            guard isAside || rest == number + tail,
                isGone(process, writing: folder.path + "/" + beginning + number + tail)
            else { continue }
            if isAside, !FileManager.default.fileExists(atPath: url.path) {
                rename(path, url.path)
            } else {
                try? FileManager.default.removeItem(atPath: path)
            }
        }
    }

    /// What the name of a folder ends with that stepped aside for a new one.
    private static let aside = ".old"

    /// Our own number may be that of a process before us: in a container all begin with the same.
    private static func isGone(_ process: pid_t, writing partial: String) -> Bool {
        if process == getpid() { return !unfinished.withLock { $0.contains(partial) } }
        return kill(process, 0) != 0 && errno == ESRCH
    }

    /// Creates the partial file or folder, which shows that the place can be written to.
    private func claim() throws(VideoError) {
        // In one step for whoever looks: nobody takes it for what was left, and `discardAll()` finds none that is not there yet.
        let failure: Int32? = Self.unfinished.withLock { unfinished in
            if isFolder {
                if mkdir(partial, 0o777) != 0 { return errno }
            } else {
                let file = open(partial, O_WRONLY | O_CREAT | O_EXCL, 0o666)
                if file < 0 { return errno }
                close(file)
            }
            unfinished.insert(partial)
            return nil
        }
        if let failure { throw .cannotWrite(target, reason: Self.reason(failure)) }
    }

    /// What this process is writing, for `discardAll()`.
    private static let unfinished = Mutex<Set<String>>([])

    /// Removes what all destinations of this process have so far.
    static func discardAll() {
        // Not under the lock: removing takes its time, and whoever waits for the lock would too.
        for path in unfinished.withLock({ $0 }) { try? FileManager.default.removeItem(atPath: path) }
    }

    /// Refuses what may not be replaced: anything unless overwriting is asked for, and even then a folder that holds
    /// more than pictures of ours.
    private func checkTarget() throws(VideoError) {
        var info = stat()
        // Not following links: a dangling one is in the way too.
        guard lstat(target, &info) == 0 else { return }
        guard [S_IFREG, S_IFDIR, S_IFLNK].contains(info.st_mode & S_IFMT) else {
            throw .unsupportedTarget(target, reason: "it is a pipe or a device; write to - and send that there")
        }
        guard overwrite else { throw .targetExists(target) }
        let targetIsFolder = (info.st_mode & S_IFMT) == S_IFDIR
        if targetIsFolder != isFolder {
            throw .unsupportedTarget(
                target,
                reason: targetIsFolder
                    ? "a folder is in its place; remove it first" : "a file is in its place; remove it first")
        }
        guard targetIsFolder else { return }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: target)) ?? ["?"]
        let areOurs = names.allSatisfy { name in
            name.hasSuffix(".png") && name.dropLast(4).allSatisfy { ("0"..."9").contains($0) } && name.count >= 10
        }
        guard areOurs else {
            throw .unsupportedTarget(target, reason: "the folder holds other files; name a new or empty folder")
        }
    }

    /// Gives the whole result its name. Looks again whether something has appeared there meanwhile.
    func commit() throws(VideoError) {
        try checkTarget()
        try sync()
        let old = partial + Self.aside
        // A folder cannot replace a filled one in one step; the old one steps aside first.
        let isAside = isFolder && rename(target, old) == 0
        guard rename(partial, target) == 0 else {
            let reason = Self.reason(errno)
            if isAside { rename(old, target) }
            throw .cannotWrite(target, reason: reason)
        }
        // The name, too, before whoever made this throws away what it was made of.
        let place = open(URL(fileURLWithPath: target).deletingLastPathComponent().path, O_RDONLY | O_CLOEXEC)
        if place >= 0 {
            fsync(place)
            close(place)
        }
        if isAside { try? FileManager.default.removeItem(atPath: old) }
        Self.unfinished.withLock { _ = $0.remove(partial) }
    }

    /// Has the disk keep what was written before it gets its name: a power cut may leave a name with nothing behind it otherwise.
    private func sync() throws(VideoError) {
        let inside = isFolder ? (try? FileManager.default.contentsOfDirectory(atPath: partial)) ?? [] : []
        for name in inside.map({ partial + "/" + $0 }) + [partial] {
            let file = open(name, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { continue }
            defer { close(file) }
            // Some file systems have no such thing.
            guard fsync(file) == 0 || errno == EINVAL || errno == ENOTSUP else {
                throw .cannotWrite(target, reason: Self.reason(errno))
            }
        }
    }

    /// Removes what was written so far; harmless if nothing was, or if it has its final name.
    func discard() {
        try? FileManager.default.removeItem(atPath: partial)
        Self.unfinished.withLock { _ = $0.remove(partial) }
    }

    private static func reason(_ code: Int32) -> String { String(cString: strerror(code)).lowercased() }
}
