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
    /// NVIDIA driver and it has CUDA and the others have not. One that is too old or cannot be opened gives way to the next.
    public static func load() throws(TensorError) -> Engine { try loaded.get() }

    private static let loaded: Result<Engine, TensorError> = find()

    private static func find() -> Result<Engine, TensorError> {
        prepareEnvironment()
        var searched: [String] = []
        var refusal: TensorError?
        for candidate in candidates(searched: &searched) {
            guard let library = candidate() else { continue }
            switch open(library) {
            case .success(let engine): return .success(engine)
            // Another one may do: a Python's torch may be too old where set-up's is not.
            case .failure(let error): refusal = refusal ?? error
            }
        }
        return .failure(refusal ?? .engineNotFound(searched: searched))
    }

    private static func open(_ library: String) -> Result<Engine, TensorError> {
        // What dlopen has brought into the process cannot be taken back, so a version that says itself too old is not opened.
        if let old = packageVersion(of: library), old.lexicographicallyPrecedes([2, 10]) {
            let name = old.map(String.init).joined(separator: ".")
            return .failure(.engineTooOld(path: library, missing: "it is PyTorch \(name)"))
        }
        var message: UnsafeMutablePointer<CChar>?
        let status = clibtorch_load(library, &message)
        let reason = message.map { String(cString: $0) } ?? ""
        free(message)
        switch status {
        case CLIBTORCH_OK:
            // PyTorch asks once in a process whether it has CUDA, at the first convolution for example.
            if hasNVIDIADriver { openCUDA(beside: library) }
            return .success(Engine(libraryPath: library, version: version(of: clibtorch_version())))
        case CLIBTORCH_TOO_OLD: return .failure(.engineTooOld(path: library, missing: "it has no \(reason)"))
        default: return .failure(.engineNotLoaded(path: library, reason: reason))
        }
    }

    /// Major and minor version as the Python package around a library writes it down, [2, 15]; nil without one.
    static func packageVersion(of library: String) -> [Int]? {
        let package = URL(fileURLWithPath: library).deletingLastPathComponent().deletingLastPathComponent()
        guard let text = try? String(contentsOf: package.appendingPathComponent("version.py"), encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("__version__") }),
            let quoted = line.split(whereSeparator: { $0 == "'" || $0 == "\"" }).dropFirst().first
        else { return nil }
        let parts = quoted.split(separator: ".").prefix(2).compactMap { Int($0) }
        return parts.count == 2 ? parts : nil
    }

    /// What libraries read when they are opened. What the user has set stays.
    private static func prepareEnvironment() {
        // Threads that wait spin for a thousand turns and then sleep. Two programs that spin on against each other take several times as long;
        // to sleep at once costs one alone 15 to 24 % (Benchmarks/RESULTS.md). GNU's OpenMP counts turns, LLVM's and Intel's milliseconds, of
        // which one is too many.
        if ProcessInfo.processInfo.environment["OMP_WAIT_POLICY"] == nil { setenv("GOMP_SPINCOUNT", "1000", 0) }
        setenv("KMP_BLOCKTIME", "0", 0)
        // Passes of changing size leave holes in a GPU's memory otherwise. An older name of it, set by the user, must not be overruled.
        if ProcessInfo.processInfo.environment["PYTORCH_CUDA_ALLOC_CONF"] == nil {
            setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True", 0)
        }
        // NVIDIA's containers round float32 products to 10 bits by this.
        unsetenv("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")
        // Operators that Apple's GPU lacks run on the CPU.
        setenv("PYTORCH_ENABLE_MPS_FALLBACK", "1", 0)
    }

    /// Library files in the order of preference, each found when it is its turn.
    private static func candidates(searched: inout [String]) -> [() -> String?] {
        if let named = ProcessInfo.processInfo.environment["VISIONXL_LIBTORCH"], !named.isEmpty {
            searched.append("VISIONXL_LIBTORCH=\(named)")
            return [{ library(at: named) }]
        }
        let program = (ProcessInfo.processInfo.arguments.first.map { URL(fileURLWithPath: $0) })?
            .resolvingSymlinksInPath().deletingLastPathComponent()
        let working = URL(fileURLWithPath: FileManager.default.currentDirectoryPath)
        var found: [String] = []
        for start in [program, working].compactMap({ $0 }) {
            searched.append("\(start.path)/.deps/libtorch and above")
            for folder in ancestors(of: start) {
                if let library = library(at: folder.appendingPathComponent(".deps/libtorch").path),
                    !found.contains(library)
                {
                    found.append(library)
                }
            }
        }
        searched.append("python3's torch package")
        return preference(found, package: { pythonPackage().flatMap { library(at: $0) } }, hasDriver: hasNVIDIADriver) {
            FileManager.default.fileExists(atPath: cudaLibrary(beside: $0))
        }
    }

    /// The order in which libraries are tried. With a driver those with CUDA come first, Python's where no other has it.
    /// - Parameter package: Python's library. To ask takes Python's start, so that is done only when it may be wanted.
    static func preference(
        _ found: [String], package: @escaping () -> String?, hasDriver: Bool, hasCUDA: (String) -> Bool
    ) -> [() -> String?] {
        let able = hasDriver ? found.filter(hasCUDA) : []
        let inOrder = able + found.filter { !able.contains($0) }
        guard hasDriver, able.isEmpty, let library = package() else {
            return inOrder.map { library in { library } } + [package]
        }
        return (hasCUDA(library) ? [library] + inOrder : inOrder + [library]).map { library in { library } }
    }

    /// Linux's driver, its devices where /proc is hidden, or Windows' under WSL.
    static let hasNVIDIADriver = ["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"].contains {
        FileManager.default.fileExists(atPath: $0)
    }

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
        if let problem = openCUDA(beside: engine.libraryPath) {
            // Some builds are linked against the driver's own library.
            let lacksDriver = !hasNVIDIADriver && (problem == noCUDALibrary || problem.contains("libcuda.so"))
            return .failure(.deviceUnavailable("cuda", reason: lacksDriver ? noGPU(-1) : problem))
        }
        var count: Int32 = 0
        let status = clibtorch_cuda_count(&count)
        guard status == 0, count > 0 else { return .failure(.deviceUnavailable("cuda", reason: noGPU(status))) }
        return .success(())
    }()

    /// What a count of no devices means.
    private static func noGPU(_ status: Int32) -> String {
        guard hasNVIDIADriver else { return "no GPU: there is no NVIDIA driver" }
        guard status > 0, let text = clibtorch_cuda_error(status) else { return "no GPU: the NVIDIA driver shows none" }
        var (driver, runtime) = (Int32(0), Int32(0))
        clibtorch_cuda_versions(&driver, &runtime)
        if driver == 0 {
            return "no GPU: libcuda.so.1 of the NVIDIA driver was not found; in a container, start that with its GPUs"
        }
        func version(_ number: Int32) -> String { "\(number / 1000).\(number % 1000 / 10)" }
        return
            "no GPU that can be used: \(String(cString: text)) (the driver is for CUDA \(version(driver)), this PyTorch for \(version(runtime)))"
    }

    private static let noCUDALibrary =
        "no library: this LibTorch has no libtorch_cuda.so; run `make setup`, which fetches one that has"

    /// Opens libtorch_cuda.so and what it opens by bare names later, which no path leads to.
    /// - Returns: why it could not; nil when it is there.
    @discardableResult
    private static func openCUDA(beside library: String) -> String? {
        let path = cudaLibrary(beside: library)
        guard FileManager.default.fileExists(atPath: path) else {
            return noCUDALibrary
        }
        var message: UnsafeMutablePointer<CChar>?
        for preloaded in cudaPreloads(beside: library) where clibtorch_load_extension(preloaded, &message) != 0 {
            free(message)
            message = nil
        }
        guard clibtorch_load_extension(path, &message) == 0 else {
            let reason = message.map { String(cString: $0) } ?? ""
            free(message)
            return "no library: \(reason)"
        }
        return nil
    }

    /// NVIDIA's libraries beside a torch package, in the order in which they need each other, as Python's torch opens them.
    static func cudaPreloads(beside library: String) -> [String] {
        let nvidia = URL(fileURLWithPath: library).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
            .appendingPathComponent("nvidia")
        let manager = FileManager.default
        let folders = ((try? manager.contentsOfDirectory(atPath: nvidia.path)) ?? []).sorted().map {
            nvidia.appendingPathComponent($0 + "/lib")
        }
        let files = folders.flatMap { folder in
            ((try? manager.contentsOfDirectory(atPath: folder.path)) ?? []).sorted().map {
                folder.appendingPathComponent($0).path
            }
        }
        let wanted = [
            "libcudart.so", "libnvrtc-builtins.so", "libnvrtc.so", "libnvJitLink.so", "libcublasLt.so", "libcublas.so",
            "libcudnn.so",
        ]
        return wanted.flatMap { name in files.filter { ($0 as NSString).lastPathComponent.hasPrefix(name + ".") } }
    }

    /// Opens libtorch_cuda.so, once. Tensors on a CUDA device do this by themselves.
    static func loadCUDA() throws(TensorError) { try cuda.get() }

    /// Makes sure that the device can be used, or says why it cannot.
    public static func require(_ device: Device) throws(TensorError) {
        _ = try load()
        switch device {
        case .cpu, .simulated: break
        case .cuda(let index):
            try loadCUDA()
            let count = cudaDeviceCount
            guard index < count else {
                throw .deviceUnavailable(device.description, reason: "there are \(count) CUDA devices, counted from 0")
            }
        case .mps:
            _ = try Tensor.empty([1], device: .mps)
        }
    }

    /// CUDA devices that can be used; 0 where there is none or this LibTorch is a CPU build.
    public static var cudaDeviceCount: Int {
        var count: Int32 = 0
        return (try? loadCUDA()) != nil && clibtorch_cuda_count(&count) == 0 ? Int(count) : 0
    }

    /// Why there is no CUDA device although there is an NVIDIA driver; nil where there is a device, or no driver.
    public static var unusedDriver: String? {
        guard hasNVIDIADriver, case .failure(.deviceUnavailable(_, let reason)) = cuda else { return nil }
        return reason
    }

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
}
