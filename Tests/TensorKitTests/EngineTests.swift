import Testing

@testable import TensorKit

@Suite struct EngineTests {
    @Test func versionWord() {
        #expect(Engine.version(of: 2 << 56 | 15 << 48 | 1 << 40) == "2.15")
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
}
