import Foundation

/// What the C library does with memory that was freed. glibc keeps freed blocks of up to 32 MB for later: quick, but the process stays larger
/// than what it uses, over the layers of a network by up to some hundred megabytes. Larger ones go back to the system, which clears them
/// before they are given out again: a fifth of the time of 25 frames of 640x272. Other C libraries are left alone.
public enum Heap {
    /// From now on, blocks of 4 MB and more go back to the system as soon as they are freed. Cost: 10 to 50 % of a small network's time. False
    /// where the C library has no such setting.
    @discardableResult
    public static func returnLargeBlocks() -> Bool { set(mapFrom: 4 << 20, keep: 128 << 10) }

    /// From now on, freed blocks of any size are kept for later. Cost: a peak that is up to a third higher. False where the C library has no such
    /// setting.
    @discardableResult
    public static func keepLargeBlocks() -> Bool { set(mapFrom: 1 << 30, keep: 1 << 30) }

    /// From now on as the C library would have it by itself.
    @discardableResult
    public static func standard() -> Bool { set(mapFrom: 32 << 20, keep: 64 << 20) }

    /// mallopt(M_MMAP_THRESHOLD, bytes) and mallopt(M_TRIM_THRESHOLD, bytes), which glibc's module map leaves out.
    private static func set(mapFrom threshold: CInt, keep spare: CInt) -> Bool {
        #if os(Linux)
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "mallopt") else { return false }
        let mallopt = unsafeBitCast(symbol, to: (@convention(c) (CInt, CInt) -> CInt).self)
        return mallopt(-3, threshold) == 1 && mallopt(-1, spare) == 1
        #else
        return false
        #endif
    }

    /// Gives back now what can be given back.
    static func trim() {
        #if os(Linux)
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "malloc_trim") else { return }
        _ = unsafeBitCast(symbol, to: (@convention(c) (Int) -> CInt).self)(0)
        #endif
    }
}
