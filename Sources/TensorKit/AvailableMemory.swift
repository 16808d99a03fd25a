import Foundation

extension Device {
    /// Bytes that this process can still take on the device, as far as it can be known: of a GPU what is free, of the CPU what the system and
    /// the control groups of this process leave. Of a Mac, whose GPU has the same memory, 0.6 of all there is: what its system leaves to others
    /// changes as it is wanted. Nil where it cannot be known.
    public func availableMemory() -> Int? {
        if case .cuda = self { return memory()?.free }
        #if os(Linux)
        func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
        var limits: [Int] = []
        if let found = text("/proc/meminfo").flatMap(HostMemory.available) { limits.append(found) }
        limits += HostMemory.controlGroups(text("/proc/self/cgroup") ?? "").compactMap { limit, usage, statistics in
            guard let limit = text(limit).flatMap(HostMemory.number), let usage = text(usage).flatMap(HostMemory.number)
            else { return nil }
            // What only caches files is given up when it is wanted.
            let cache = text(statistics).flatMap(HostMemory.fileCache) ?? 0
            return max(limit - max(usage - cache, 0), 0)
        }
        return limits.min()
        #elseif os(macOS)
        return Int(0.6 * Double(ProcessInfo.processInfo.physicalMemory))
        #else
        return nil
        #endif
    }

    /// Bytes of this process that are in the memory now, but for files that are mapped into it; nil where it cannot be known.
    public static var residentMemory: Int? {
        #if os(Linux)
        // proc(5): size, resident, shared.
        guard let words = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " "),
            words.count > 2,
            let resident = Int(words[1]), let shared = Int(words[2])
        else { return nil }
        return (resident - shared) * sysconf(Int32(_SC_PAGESIZE))
        #else
        return nil
        #endif
    }

    /// Bytes of the program's and its libraries' files that are in the memory now. How much of a file is mapped at once is the system's choice,
    /// and it takes that back when it wants memory. nil where it cannot be known. Cost: a millisecond or two.
    public static var mappedCode: Int? {
        #if os(Linux)
        // Linux gives this file in pieces, after the first of which Foundation's String and Data stop.
        guard let file = FileHandle(forReadingAtPath: "/proc/self/smaps") else { return nil }
        defer { try? file.close() }
        var text = Data()
        while let piece = try? file.read(upToCount: 1 << 16), !piece.isEmpty { text.append(piece) }
        return HostMemory.mappedCode(String(decoding: text, as: UTF8.self))
        #else
        return nil
        #endif
    }
}

/// The files in which Linux says how much memory there is.
enum HostMemory {
    /// Of /proc/meminfo.
    static func available(_ text: String) -> Int? {
        for line in text.split(separator: "\n") where line.hasPrefix("MemAvailable:") {
            return line.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
        }
        return nil
    }

    /// Limit, usage and statistics files of the process's control group and those above it, of either version, by /proc/self/cgroup.
    static func controlGroups(_ text: String) -> [(limit: String, usage: String, statistics: String)] {
        var result: [(String, String, String)] = []
        for line in text.split(separator: "\n") {
            // "0::/a/b" (version 2) or "4:memory:/a/b" (version 1).
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isSecond = parts[0] == "0" && parts[1].isEmpty
            guard isSecond || parts[1].split(separator: ",").contains("memory") else { continue }
            let root = isSecond ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
            var folders = parts[2].split(separator: "/").map(String.init)
            while true {
                let folder = ([root] + folders).joined(separator: "/")
                result.append(
                    isSecond
                        ? (folder + "/memory.max", folder + "/memory.current", folder + "/memory.stat")
                        : (
                            folder + "/memory.limit_in_bytes", folder + "/memory.usage_in_bytes",
                            folder + "/memory.stat"
                        ))
                if folders.isEmpty { break }
                folders.removeLast()
            }
        }
        return result
    }

    /// A file with one number; nil for "max".
    static func number(_ text: String) -> Int? { Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) }

    /// Of memory.stat: what version 2 calls `file`, version 1 `total_cache`.
    static func fileCache(_ text: String) -> Int? {
        for line in text.split(separator: "\n") where line.hasPrefix("file ") || line.hasPrefix("total_cache ") {
            return line.split(separator: " ").last.flatMap { Int($0) }
        }
        return nil
    }

    /// Of /proc/self/smaps: of all files of which a part may be executed, what is in the memory and the file's own.
    static func mappedCode(_ text: String) -> Int {
        var bytes: [Substring: Int] = [:]
        var executed: Set<Substring> = []
        var path: Substring?
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 5)
            guard let first = words.first else { continue }
            if !first.hasSuffix(":") {
                // "7f00-7f80 r-xp 00000000 fe:00 123   /lib/libc.so.6"
                path = words.count == 6 ? words[5].drop { $0 == " " } : nil
                if let path, path.hasPrefix("/"), words[1].contains("x") { executed.insert(path) }
            } else if let path, words.count > 1, let kilobytes = Int(words[1]) {
                if first == "Rss:" { bytes[path, default: 0] += kilobytes * 1024 }
                if first == "Anonymous:" { bytes[path, default: 0] -= kilobytes * 1024 }
            }
        }
        return executed.reduce(0) { $0 + bytes[$1, default: 0] }
    }
}
