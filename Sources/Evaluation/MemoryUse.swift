import Foundation
import TensorKit

/// The largest resident size of this process since a moment.
enum PeakMemory {
    /// Begins to count anew; false where the system cannot (then `bytes` counts from the program's start).
    @discardableResult
    static func reset() -> Bool {
        #if os(Linux)
        // What earlier cells have freed and the allocator still holds is not this one's.
        trim()
        // proc(5): "5" resets the peak resident set size.
        guard let file = FileHandle(forWritingAtPath: "/proc/self/clear_refs") else { return false }
        defer { try? file.close() }
        do { try file.write(contentsOf: Data("5".utf8)) } catch { return false }
        return true
        #else
        return false
        #endif
    }

    #if os(Linux)
    /// glibc's malloc_trim, which its module map leaves out; other C libraries have none.
    private static func trim() {
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "malloc_trim") else { return }
        _ = unsafeBitCast(symbol, to: (@convention(c) (Int) -> CInt).self)(0)
    }
    #endif

    static var bytes: Int? {
        #if os(Linux)
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        return kilobytes * 1024
        #else
        return nil
        #endif
    }
}

/// The most of a device's memory that was in use when it was looked at.
final class MemoryGauge {
    private let device: Device
    private(set) var peak: Int?

    init(_ device: Device) { self.device = device }

    func read() {
        guard let memory = device.memory() else { return }
        peak = max(peak ?? 0, memory.total - memory.free)
    }
}
