import Foundation

/// What the C library does with memory that was freed. glibc keeps freed blocks of up to 32 MB for later: quick, but the process stays larger
/// than what it uses, over the layers of a network by up to some hundred megabytes. Larger ones go back to the system, which clears them
/// before they are given out again: a fifth of the time of 25 frames of 640x272. Other C libraries are left alone.
public enum Heap {
    /// From now on, blocks of 4 MB and more go back to the system as soon as they are freed. Cost: 10 to 50 % of a small network's time. False
    /// where the C library has no such setting.
    @discardableResult
    public static func returnLargeBlocks() -> Bool { set(mapFrom: 4 << 20, keep: 128 << 10) }

    /// From now on, freed blocks of any size are kept for later. Cost: a peak that is up to a third higher; 25 frames of 640x272 took 0.91 of
    /// the time. False where the C library has no such setting.
    @discardableResult
    public static func keepLargeBlocks() -> Bool { set(mapFrom: 1 << 30, keep: 1 << 30) }

    /// From now on as the C library would have it by itself.
    @discardableResult
    public static func standard() -> Bool { set(mapFrom: 32 << 20, keep: 64 << 20) }

    /// From now on all threads take memory from one place, where otherwise each keeps for itself what it freed: with a thread for each window
    /// that was 0.6 GB of 2.0. Threads that took memory before keep their places. Cost: none that could be measured. False where the C library
    /// has no such setting.
    @discardableResult
    public static func shareBetweenThreads() -> Bool { mallopt?(-8, 1) == 1 }

    /// M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, in bytes.
    private static func set(mapFrom threshold: CInt, keep spare: CInt) -> Bool {
        guard let mallopt else { return false }
        return mallopt(-3, threshold) == 1 && mallopt(-1, spare) == 1
    }

    /// glibc's module map leaves it out.
    private static var mallopt: (@convention(c) (CInt, CInt) -> CInt)? {
        #if os(Linux)
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "mallopt") else { return nil }
        return unsafeBitCast(symbol, to: (@convention(c) (CInt, CInt) -> CInt).self)
        #else
        return nil
        #endif
    }

    /// Gives back now what can be given back. Cost: what is taken again is cleared first, a fifth of a second for a gigabyte.
    public static func trim() {
        #if os(Linux)
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "malloc_trim") else { return }
        _ = unsafeBitCast(symbol, to: (@convention(c) (Int) -> CInt).self)(0)
        #endif
    }
}
