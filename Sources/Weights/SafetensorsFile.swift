import Foundation

/// A safetensors file, memory-mapped and checked.
///
///     let file = try SafetensorsFile(at: url)
///     for (name, entry) in file.entries { print(name, entry.dtype.rawValue, entry.shape) }
///
/// Opening reads the header only (linear in its length) and enforces every rule of the format, so a file that opens can be
/// read without further checks; no byte of the data is touched before it is asked for. The file stays mapped as long as this
/// object or a tensor made from it lives. A file that is cut short while it is mapped raises SIGBUS when the lost part is read;
/// replace model files by renaming, never in place.
public final class SafetensorsFile: Sendable {
    /// One tensor as the header describes it.
    public struct Entry: Sendable, Hashable {
        public let dtype: SafetensorsDType
        public let shape: [Int]
        /// The tensor's bytes, counted from the beginning of the data.
        public let range: Range<Int>

        /// The product of the shape; 1 for a scalar.
        public var elementCount: Int { range.count / dtype.size }
    }

    public let url: URL
    /// The tensors by name.
    public let entries: [String: Entry]
    /// The `__metadata__` of the header; empty where there is none.
    public let metadata: [String: String]

    let mapping: MappedFile
    private let dataStart: Int

    /// Maps the file at `url` and checks its header.
    public init(at url: URL) throws(SafetensorsError) {
        do throws(SafetensorsViolation) {
            let mapping = try MappedFile(url)
            let header = try SafetensorsHeader(file: mapping.bytes)
            self.url = url
            self.mapping = mapping
            entries = header.entries
            metadata = header.metadata
            dataStart = header.dataStart
        } catch {
            throw SafetensorsError(path: url.path, violation: error)
        }
    }

    /// The names of all tensors, in order.
    public var names: [String] { entries.keys.sorted() }

    /// Calls `body` with the bytes of the tensor `name` where they lie in the mapped file.
    ///
    /// The address is aligned to the element's size only if the file's writer saw to it. The pointer must not leave `body`.
    public func withUnsafeBytes<Result>(
        of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        try withExtendedLifetime(self) { try body(bytes(of: try entry(name))) }
    }

    /// The entry of `name`, or an error that names the file.
    func entry(_ name: String) throws(SafetensorsError) -> Entry {
        guard let entry = entries[name] else { throw SafetensorsError(path: url.path, violation: .noSuchTensor(name)) }
        return entry
    }

    /// Takes the bytes of `entry` out of this process's memory until they are read again.
    func leave(_ entry: Entry) { mapping.leave(bytes(of: entry)) }

    /// The mapped bytes of `entry`; valid while `mapping` lives.
    func bytes(of entry: Entry) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            rebasing: mapping.bytes[(dataStart + entry.range.lowerBound)..<(dataStart + entry.range.upperBound)])
    }
}
