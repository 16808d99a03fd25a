import Testing

@testable import TensorKit

@Suite struct EngineTests {
    @Test func versionWord() {
        #expect(Engine.version(of: 2 << 56 | 15 << 48 | 1 << 40) == "2.15")
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
