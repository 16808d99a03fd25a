/// What can go wrong with tensors. Each description is a sentence for the user.
public enum TensorError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No LibTorch in any of the places that were looked at.
    case engineNotFound(searched: [String])
    /// A library was found but the dynamic linker refused it.
    case engineNotLoaded(path: String, reason: String)
    /// A library was found but it lacks a function of the stable ABI of PyTorch 2.10, or says itself that it is older.
    case engineTooOld(path: String, missing: String)
    /// The device is not there or the library has no support for it.
    case deviceUnavailable(String, reason: String)
    /// PyTorch refused an operator; the message is its own.
    case operation(name: String, message: String)
    /// An argument that is wrong before PyTorch is asked.
    case invalidArgument(String)

    public var description: String {
        switch self {
        case .engineNotFound(let searched):
            "LibTorch was not found; run `make setup`, or set VISIONXL_LIBTORCH to the folder of libtorch_cpu.so of PyTorch 2.10 "
                + "or newer. Looked in: \(searched.joined(separator: ", "))."
        case .engineNotLoaded(let path, let reason):
            "LibTorch at \(path) could not be opened (\(reason)); run `make setup` to fetch a complete one."
        case .engineTooOld(let path, let missing):
            "LibTorch at \(path) is too old (\(missing)); PyTorch 2.10 or newer is needed: run `make setup`, or "
                + "`pip install -U torch`."
        case .deviceUnavailable(let device, let reason):
            "The device \(device) cannot be used (\(reason)); choose another with --device, for example cpu."
        case .operation(let name, let message):
            "\(name) failed: \(message)"
        case .invalidArgument(let message):
            message
        }
    }

    /// PyTorch's, the C++ library's, cuDNN's (whose convolutions swallow the lack of work space and find no way at all) and cuBLAS's.
    private static let wordsOfLack = [
        "out of memory", "not enough memory", "can't allocate memory", "bad_alloc",
        "unable to find an engine to execute this computation",
        "ALLOC_FAILED", "ALLOCATION_FAILED",
    ]

    /// Whether a device ran out of memory, so that smaller pieces may still work.
    public var isOutOfMemory: Bool {
        guard case .operation(_, let message) = self else { return false }
        return Self.wordsOfLack.contains { message.contains($0) }
    }
}
