import Foundation
import Synchronization
import TestSupport
import Testing

@testable import TensorKit

@Suite struct EngineTests {
    @Test func versionWord() {
        #expect(Engine.version(of: 2 << 56 | 15 << 48 | 1 << 40) == "2.15")
    }

    // MARK: Which library

    /// Without a driver Python is asked last, and with one only where nothing else has CUDA.
    @Test func theOrderOfLibraries() {
        func order(_ found: [String], package: String?, driver: Bool) -> (libraries: [String], isPythonAsked: Bool) {
            var isAsked = false
            let candidates = Engine.preference(
                found,
                package: {
                    isAsked = true
                    return package
                }, hasDriver: driver, hasCUDA: { $0.hasSuffix("+cuda") })
            let isAskedFirst = isAsked
            return (candidates.compactMap { $0() }, isAskedFirst)
        }
        for package in ["python", "python+cuda"] {
            #expect(order(["a", "b+cuda"], package: package, driver: false) == (["a", "b+cuda", package], false))
            #expect(order(["a+cuda", "b"], package: package, driver: true) == (["a+cuda", "b", package], false))
            #expect(order(["a", "b+cuda"], package: package, driver: true) == (["b+cuda", "a", package], false))
            #expect(order([], package: package, driver: false) == ([package], false))
            #expect(order([], package: package, driver: true) == ([package], true))
        }
        #expect(order(["a", "b"], package: "python", driver: true) == (["a", "b", "python"], true))
        #expect(order(["a", "b"], package: "python+cuda", driver: true) == (["python+cuda", "a", "b"], true))
        for driver in [false, true] {
            #expect(order(["a"], package: nil, driver: driver).libraries == ["a"])
            #expect(order([], package: nil, driver: driver).libraries == [])
        }
    }

    /// Folders as NVIDIA's packages for CUDA 13 have them, and one of those for CUDA 12.
    @Test func librariesThatCUDAOpensByName() throws {
        let folder = try TemporaryFolder("engine")
        let library = folder.file("torch/lib/libtorch_cpu.so")
        func put(_ path: String) throws {
            let url = URL(fileURLWithPath: folder.file(path))
            let parent = url.deletingLastPathComponent()
            try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
            try Data().write(to: url)
        }
        try put("torch/lib/libtorch_cpu.so")
        #expect(Engine.cudaPreloads(beside: library) == [])
        let names = [
            "cu13/lib/libcudart.so.13", "cu13/lib/libnvrtc-builtins.so.13.2", "cu13/lib/libnvrtc.so.13",
            "cu13/lib/libnvJitLink.so.13", "cu13/lib/libcublasLt.so.13", "cu13/lib/libcublas.so.13",
            "cudnn/lib/libcudnn.so.9",
        ]
        for name in names.reversed() { try put("nvidia/" + name) }
        // What these or libtorch_cuda.so are linked against comes with them.
        let others = ["cudnn/lib/libcudnn_ops.so.9", "cu13/lib/libcusparse.so.12", "cu13/include/cublas.h"]
        for name in others { try put("nvidia/" + name) }
        #expect(Engine.cudaPreloads(beside: library) == names.map { folder.file("nvidia/" + $0) })
        try put("nvidia/cuda_nvrtc/lib/libnvrtc.so.12")
        #expect(Engine.cudaPreloads(beside: library).count == names.count + 1)
    }

    @Test(
        arguments: [
            ("__version__ = '2.9.1+cu128'\n", [2, 9]),
            ("from typing import Optional\n\n__version__ = \"2.15.0\"\ncuda = '13.2'\n", [2, 15]),
            ("__version__ = '3.0a0+git1'\n", nil), ("cuda = '13.2'\n", nil), ("__version__ = get()\n", nil), ("", nil),
        ] as [(String, [Int]?)])
    func versionOfAPackage(text: String, version: [Int]?) throws {
        let folder = try TemporaryFolder("engine")
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.file("version.py")))
        #expect(Engine.packageVersion(of: folder.file("lib/libtorch_cpu.so")) == version)
        #expect(Engine.packageVersion(of: folder.file("other/lib/libtorch_cpu.so")) == nil)
    }

    /// Where memory lacks, smaller pieces are tried; where anything else is wrong, they would hide it.
    @Test(arguments: [
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB.",
        "CUDA error: out of memory",
        "CUDA ran out of memory outside PyTorch's allocator.", "MPS backend out of memory (MPS allocated: 8 GiB)",
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.", "std::bad_alloc",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
        "GET was unable to find an engine to execute this computation",
        "FIND was unable to find an engine to execute this computation",
    ])
    func lackOfMemory(message: String) {
        #expect(TensorError.operation(name: "aten::conv2d", message: message).isOutOfMemory)
        #expect(!TensorError.invalidArgument(message).isOutOfMemory)
    }

    @Test(arguments: [
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(handle)`",
        "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED",
        "CUDA error: no kernel image is available for execution on the device",
        "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)", "",
    ])
    func otherTrouble(message: String) {
        #expect(!TensorError.operation(name: "aten::conv2d", message: message).isOutOfMemory)
    }

    @Test func philoxMatchesThePublishedVectors() {
        // Known answers of the Random123 library's kat_vectors.
        let zeros = RandomGenerator.philox(counter: (0, 0, 0, 0), key: (0, 0))
        #expect(zeros == (0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
        let ones = RandomGenerator.philox(counter: (.max, .max, .max, .max), key: (.max, .max))
        #expect(ones == (0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    }

    @Test func processorFeaturesDecideTheRunningType() {
        let old = Processor(cpuinfo: "model name\t: Old\nflags\t\t: sse avx avx2\n")
        let new = Processor(cpuinfo: "model name\t: New\nflags\t\t: avx2 avx512f avx512_bf16\n")
        #expect(old.name == "Old" && !old.hasFastBFloat16)
        #expect(new.hasFastBFloat16)
        #expect(!Processor(cpuinfo: "").hasFastBFloat16)
    }

    /// bfloat16 came with Ampere, 8.0.
    @Test func aGPUsGenerationDecidesTheRunningType() {
        #expect([5, 6, 7].allSatisfy { Device.runningType(computeCapability: $0) == .float16 })
        #expect([8, 9, 12, nil].allSatisfy { Device.runningType(computeCapability: $0) == .bfloat16 })
        let missing = Device.cuda(Engine.cudaDeviceCount)
        #expect(missing.computeCapability == nil && missing.hardware == nil)
        #expect(Device.cpu.computeCapability == nil && Device.cpu.hardware == nil)
    }

    /// cuDNN keeps what it knows for each thread, and OpenMP its workers.
    @Test func aGPUsWorkHasOneThread() async throws {
        func thread(of device: Device) async throws -> ObjectIdentifier {
            try await onThread(of: device) { _ in ObjectIdentifier(Thread.current) }
        }
        let (first, other) = (try await thread(of: .cuda(70)), try await thread(of: .cuda(71)))
        #expect(first != other)
        for _ in 0..<3 {
            #expect(try await thread(of: .cuda(70)) == first)
            #expect(try await ![first, other].contains(thread(of: .cpu)))
        }
        await #expect(throws: TensorError.self) {
            try await onThread(of: .cuda(70)) { _ in throw TensorError.invalidArgument("trouble") }
        }
        // What is cancelled while it waits its turn hears of it when it comes.
        let waiting = Task { try await onThread(of: .cuda(70)) { check in try check() } }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        #expect(try await thread(of: .cuda(70)) == first)
    }

    private final class Order: Sendable { let seen = Mutex<[Int]>([]) }

    @Test func piecesOfAGPUsWorkComeOneByOne() async throws {
        let order = Order()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<50 {
                group.addTask {
                    try await onThread(of: .cuda(72)) { _ in
                        // A second piece within the first would show.
                        order.seen.withLock { $0.append(index) }
                        usleep(100)
                        order.seen.withLock { $0.append(index) }
                    }
                }
            }
            try await group.waitForAll()
        }
        let seen = order.seen.withLock { $0 }
        #expect(seen.count == 100 && stride(from: 0, to: 100, by: 2).allSatisfy { seen[$0] == seen[$0 + 1] })
    }

    @Test func deviceNames() {
        #expect(Device("cpu") == .cpu)
        #expect(Device("cuda") == .cuda(0))
        #expect(Device("cuda:3") == .cuda(3))
        #expect(Device("cuda:-1") == nil)
        #expect(Device("gpu") == nil)
        #expect("\(Device.cuda(2))" == "cuda:2")
    }

    @Test func aDeviceThatIsNotThereIsASentence() throws {
        let count = Engine.cudaDeviceCount
        #expect {
            try Engine.require(.cuda(count))
        } throws: { error in
            "\(error)".contains("cannot be used") && "\(error)".contains("--device")
        }
    }

    /// A library counts whole but for what this process wrote of it; weights that are mapped, memory and what has no file do not.
    @Test func mappedCodeIsOfFilesThatAreExecuted() throws {
        let text = """
            55d000000000-55d000001000 r-xp 00000000 fe:00 11                         /opt/a program
            Size:                  8 kB
            Rss:                   4 kB
            Anonymous:             0 kB
            7f0000000000-7f0000100000 r--p 00000000 fe:00 12                         /lib/libc.so.6
            Rss:                 100 kB
            Anonymous:             0 kB
            7f0000100000-7f0000200000 r-xp 00100000 fe:00 12                         /lib/libc.so.6
            Rss:                 200 kB
            Anonymous:             0 kB
            7f0000200000-7f0000300000 rw-p 00200000 fe:00 12                         /lib/libc.so.6
            Rss:                  30 kB
            Anonymous:            20 kB
            7f1000000000-7f2000000000 r--p 00000000 fe:00 13                         /models/unet.safetensors
            Rss:              500000 kB
            Anonymous:             0 kB
            7f3000000000-7f4000000000 rw-p 00000000 00:00 0
            Rss:              700000 kB
            Anonymous:        700000 kB
            7ffe00000000-7ffe00002000 r-xp 00000000 00:00 0                          [vdso]
            Rss:                   8 kB
            VmFlags: rd ex mr mw me de
            """
        #expect(HostMemory.mappedCode(text) == (4 + 100 + 200 + 30 - 20) * 1024)
        _ = try Engine.load()
        #if os(Linux)
        let code = try #require(Device.mappedCode)
        // More than the program's own: PyTorch's library is read up to its end.
        #expect(code > 40_000_000 && code < PeakMemory.bytes ?? 0)
        #endif
    }
}
