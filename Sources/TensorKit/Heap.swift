import Foundation

/// What the C library does with memory that was freed. glibc keeps freed blocks of up to 32 MB for later: quick, but the process stays larger
/// than what it uses, over the layers of a network by up to some hundred megabytes. Larger ones go back to the system, which clears them
/// before they are given out again: a fifth of the time of 25 frames of 640x272. Other C libraries are left alone.
package enum Heap {
    /// From now on, blocks of 4 MB and more go back to the system as soon as they are freed. Cost: 10 to 50 % of a small network's time.
    package static func returnLargeBlocks() { set(mapFrom: 4 << 20, keep: 128 << 10) }

    /// From now on, freed blocks of any size are kept for later. Cost: a peak that is up to a third higher; 25 frames of 640x272 took 0.91 of
    /// the time.
    package static func keepLargeBlocks() { set(mapFrom: 1 << 30, keep: 1 << 30) }

    /// From now on, freed blocks below 32 MB are kept for later, and up to 64 MB at the heap's end. There glibc's own adapting ends, which
    /// begins at 128 kB; it is off from then on.
    package static func standard() { set(mapFrom: 32 << 20, keep: 64 << 20) }

    /// From now on all threads take memory from one place, where otherwise each keeps for itself what it freed: with a thread for each window
    /// that was 0.6 GB of 2.0. Threads that took memory before keep their places. Cost: none that could be measured.
    package static func shareBetweenThreads() { _ = mallopt?(-8, 1) }

    /// M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, in bytes.
    private static func set(mapFrom threshold: CInt, keep spare: CInt) {
        guard let mallopt else { return }
        _ = (mallopt(-3, threshold), mallopt(-1, spare))
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
    package static func trim() {
        #if os(Linux)
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "malloc_trim") else { return }
        _ = unsafeBitCast(symbol, to: (@convention(c) (Int) -> CInt).self)(0)
        #endif
    }
}
