import Foundation

/// What the C library does with memory that was freed. glibc keeps freed blocks of up to 32 MB for later: quick, but the process stays larger
/// than what it uses, over the layers of a network by up to some hundred megabytes. Other C libraries are left alone.
public enum Heap {
    /// From now on, blocks of 4 MB and more go back to the system as soon as they are freed. Cost: the system clears them before they are given
    /// out again, 10 to 50 % of a small network's time. False where the C library has no such setting.
    @discardableResult
    public static func returnLargeBlocks() -> Bool {
        #if os(Linux)
        // mallopt(M_MMAP_THRESHOLD, bytes), which glibc's module map leaves out.
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "mallopt") else { return false }
        return unsafeBitCast(symbol, to: (@convention(c) (CInt, CInt) -> CInt).self)(-3, 4 << 20) == 1
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
