import CLibTorch
import Foundation

/// LibTorch, found and opened once per process.
public struct Engine: Sendable {
    /// The file that was opened.
    public let libraryPath: String
    /// PyTorch's version, for example `2.15`.
    public let version: String

    /// The engine, opened at the first call. The first call reads a library of half a gigabyte.
    ///
    /// It is looked for in `VISIONXL_LIBTORCH` (a file or its folder), in `.deps/libtorch` of the folders above the program and
    /// above the working directory, and in the `torch` package of the `python3` on PATH; that package comes first where there is an
    /// NVIDIA driver and it has CUDA, which set-up's own library has not.
    public static func load() throws(TensorError) -> Engine { try loaded.get() }

    private static let loaded: Result<Engine, TensorError> = find()

    private static func find() -> Result<Engine, TensorError> {
        var searched: [String] = []
        for candidate in candidates(searched: &searched) {
            var message: UnsafeMutablePointer<CChar>?
            let status = clibtorch_load(candidate, &message)
            let reason = message.map { String(cString: $0) } ?? ""
            free(message)
            switch status {
            case CLIBTORCH_OK:
                return .success(Engine(libraryPath: candidate, version: version(of: clibtorch_version())))
            case CLIBTORCH_TOO_OLD: return .failure(.engineTooOld(path: candidate, missing: reason))
            default: return .failure(.engineNotLoaded(path: candidate, reason: reason))
            }
        }
        return .failure(.engineNotFound(searched: searched))
    }

    /// Existing library files in the order of preference, found lazily: Python is only asked when nothing else is there.
    private static func candidates(searched: inout [String]) -> [String] {
        if let named = ProcessInfo.processInfo.environment["VISIONXL_LIBTORCH"], !named.isEmpty {
            searched.append("VISIONXL_LIBTORCH=\(named)")
            return library(at: named).map { [$0] } ?? []
        }
        if hasNVIDIADriver, let found = pythonPackage().flatMap({ library(at: $0) }),
            FileManager.default.fileExists(atPath: cudaLibrary(beside: found))
        {
            return [found]
        }
        let program = (ProcessInfo.processInfo.arguments.first.map { URL(fileURLWithPath: $0) })?
            .resolvingSymlinksInPath().deletingLastPathComponent()
        let working = URL(fileURLWithPath: FileManager.default.currentDirectoryPath)
        for start in [program, working].compactMap({ $0 }) {
            searched.append("\(start.path)/.deps/libtorch and above")
            for folder in ancestors(of: start) {
                if let found = library(at: folder.appendingPathComponent(".deps/libtorch").path) { return [found] }
            }
        }
        searched.append("python3's torch package")
        return pythonPackage().flatMap { library(at: $0) }.map { [$0] } ?? []
    }

    private static var hasNVIDIADriver: Bool { FileManager.default.fileExists(atPath: "/proc/driver/nvidia/version") }

    private static func cudaLibrary(beside library: String) -> String {
        (library as NSString).deletingLastPathComponent + "/libtorch_cuda.so"
    }

    private static func ancestors(of start: URL) -> [URL] {
        var folders = [start]
        while let last = folders.last, last.path != "/", folders.count < 64 {
            folders.append(last.deletingLastPathComponent())
        }
        return folders
    }

    private static func library(at path: String) -> String? {
        #if os(macOS)
        let name = "libtorch_cpu.dylib"
        #else
        let name = "libtorch_cpu.so"
        #endif
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { return nil }
        if !isFolder.boolValue { return path }
        return ["", "/lib", "/torch/lib"].map { path + $0 + "/" + name }.first {
            FileManager.default.fileExists(atPath: $0)
        }
    }

    /// The folder of Python's torch, without importing it (an import takes seconds).
    private static func pythonPackage() -> String? {
        let command =
            "python3 -c 'import importlib.util as u; s = u.find_spec(\"torch\"); print(s.origin if s else \"\")' 2>/dev/null"
        guard let pipe = popen(command, "r") else { return nil }
        defer { pclose(pipe) }
        var line = [CChar](repeating: 0, count: 4096)
        guard fgets(&line, Int32(line.count), pipe) != nil else { return nil }
        let origin = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        return origin.isEmpty ? nil : (origin as NSString).deletingLastPathComponent
    }

    static func version(of word: UInt64) -> String { "\(word >> 56).\(word >> 48 & 0xff)" }

    // MARK: CUDA

    private static let cuda: Result<Void, TensorError> = {
        guard let engine = try? load() else {
            return .failure(.deviceUnavailable("cuda", reason: "LibTorch is not loaded"))
        }
        let path = cudaLibrary(beside: engine.libraryPath)
        guard FileManager.default.fileExists(atPath: path) else {
            return .failure(
                .deviceUnavailable("cuda", reason: "this LibTorch has no libtorch_cuda.so; `pip install torch` has"))
        }
        var message: UnsafeMutablePointer<CChar>?
        guard clibtorch_load_extension(path, &message) == 0 else {
            let reason = message.map { String(cString: $0) } ?? ""
            free(message)
            return .failure(.deviceUnavailable("cuda", reason: reason))
        }
        guard clibtorch_cuda_count() > 0 else {
            return .failure(.deviceUnavailable("cuda", reason: "no NVIDIA GPU or no driver for it"))
        }
        return .success(())
    }()

    /// Opens libtorch_cuda.so, once. Tensors on a CUDA device do this by themselves.
    static func loadCUDA() throws(TensorError) { try cuda.get() }

    /// Makes sure that the device can be used, or says why it cannot.
    public static func require(_ device: Device) throws(TensorError) {
        _ = try load()
        switch device {
        case .cpu: break
        case .cuda(let index):
            try loadCUDA()
            let count = Int(clibtorch_cuda_count())
            guard index < count else {
                throw .deviceUnavailable(device.description, reason: "there are \(count) CUDA devices, counted from 0")
            }
        case .mps:
            _ = try Tensor.empty([1], device: .mps)
        }
    }

    /// CUDA devices that can be used; 0 where there is none or this LibTorch is a CPU build.
    public static var cudaDeviceCount: Int { (try? loadCUDA()) == nil ? 0 : Int(clibtorch_cuda_count()) }

    /// A GPU where there is one, else the CPU.
    public static var bestDevice: Device { cudaDeviceCount > 0 ? .cuda(0) : .cpu }

    /// Whether NNPACK's convolutions of float32 are there: they want a processor with AVX2, and a PyTorch that was built with them.
    static let hasWinograd = (try? load()) != nil && (try? Tensor.dispatchFlag("aten::_nnpack_available")) == true

    /// The types that oneDNN has fully connected layers of on this processor: bfloat16 wants AVX512, and PyTorch is built without oneDNN for
    /// some processors.
    static let oneDNNTypes: Set<DType> = {
        guard (try? load()) != nil else { return [] }
        return Set(
            [DType.float32, .bfloat16].filter {
                guard let one = try? Tensor.ones([1, 1], dtype: $0) else { return false }
                return (try? one.oneDNNLinear(one, bias: nil, activation: "none")) != nil
            })
    }()

    // MARK: Threads

    /// Threads of one operator on the CPU.
    public static func threadCount() throws(TensorError) -> Int {
        _ = try load()
        return Int(clibtorch_thread_count())
    }

    /// Sets the number of threads of one operator on the CPU, for the calling thread and those that have not computed yet.
    /// - Throws: `invalidArgument` where the library does not export the way to do it; OMP_NUM_THREADS works always.
    public static func setThreadCount(_ count: Int) throws(TensorError) {
        _ = try load()
        guard count >= 1, clibtorch_set_thread_count(Int32(clamping: count)) else {
            throw .invalidArgument(
                "The number of threads could not be set to \(count); set OMP_NUM_THREADS before the start instead.")
        }
    }
}
