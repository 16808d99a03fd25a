import Foundation

/// The largest resident size of this process since a moment.
public enum PeakMemory {
    /// Begins to count anew; false where the system cannot (then `bytes` counts from the program's start).
    @discardableResult
    public static func reset() -> Bool {
        #if os(Linux)
        // What was freed before and the allocator still holds is not what comes next's.
        Heap.trim()
        // proc(5): "5" resets the peak resident set size.
        guard let file = FileHandle(forWritingAtPath: "/proc/self/clear_refs") else { return false }
        defer { try? file.close() }
        do { try file.write(contentsOf: Data("5".utf8)) } catch { return false }
        return true
        #else
        return false
        #endif
    }

    /// In bytes; nil where it cannot be known.
    public static var bytes: Int? {
        #if os(Linux)
        // Not getrusage's ru_maxrss: Linux begins that with the peak of the process that started this one.
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap({
                Int($0)
            })
        else { return nil }
        return kilobytes * 1024
        #elseif os(macOS)
        var usage = rusage()
        return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : nil
        #else
        return nil
        #endif
    }
}
