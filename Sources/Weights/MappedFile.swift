import Foundation

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

#if _endian(big)
#error("Safetensors data is little-endian and is used where it lies; this machine is big-endian.")
#endif

/// A file mapped read-only into memory for as long as this object lives.
///
/// The mapping is private and its size is that of the file at opening. If another process then cuts the file short,
/// touching the lost pages raises SIGBUS, which no check here can prevent: replace model files by renaming a new file
/// into place (as `SafetensorsWriter` does), never by writing into them.
final class MappedFile: @unchecked Sendable {  // Unchecked for the pointer only: the bytes are never written.
    let bytes: UnsafeRawBufferPointer

    init(_ url: URL) throws(SafetensorsViolation) {
        // Non-blocking, so that a named pipe is refused below and does not hang here.
        let descriptor = open(url.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .cannotOpen(reason: lastSystemError()) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .cannotOpen(reason: lastSystemError()) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notARegularFile }
        let size = Int(status.st_size)
        guard size >= SafetensorsHeader.prefixSize else { throw .fileTooShort(size: size) }
        guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
            throw .cannotMap(reason: lastSystemError())
        }
        bytes = UnsafeRawBufferPointer(start: base, count: size)
    }

    /// Takes the whole pages of a part of `bytes` out of this process's memory. They come back from the file when they are touched.
    func leave(_ part: UnsafeRawBufferPointer) {
        guard let base = part.baseAddress else { return }
        let page = Int(getpagesize())
        let start = (Int(bitPattern: base) + page - 1) / page * page
        let end = (Int(bitPattern: base) + part.count) / page * page
        // Advice: where it is not taken, the pages only stay.
        if end > start, let address = UnsafeMutableRawPointer(bitPattern: start) {
            madvise(address, end - start, MADV_DONTNEED)
        }
    }

    deinit {
        munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
    }
}

/// The message of the C library's last error.
func lastSystemError() -> String {
    String(cString: strerror(errno))
}
