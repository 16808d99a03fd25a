import Foundation

/// What the CPU can do, as far as the choice of a running type depends on it.
public struct Processor: Sendable {
    /// The name the processor gives itself.
    public let name: String
    /// Vector extensions, as the kernel names them (`avx2`, `avx512f`, `avx512_bf16`, `amx_bf16`).
    public let features: Set<String>

    /// Whether bfloat16 matrix products are a native instruction.
    public var hasFastBFloat16: Bool { features.contains("avx512_bf16") || features.contains("amx_bf16") }

    /// The processor this program runs on.
    public static let current: Processor = {
        #if canImport(Darwin)
        var name = [CChar](repeating: 0, count: 256)
        var length = name.count
        let isNamed = sysctlbyname("machdep.cpu.brand_string", &name, &length, nil, 0) == 0
        let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return Processor(name: isNamed ? String(decoding: bytes, as: UTF8.self) : "unknown", features: [])
        #else
        return Processor(cpuinfo: (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "")
        #endif
    }()

    init(name: String, features: Set<String>) { (self.name, self.features) = (name, features) }

    /// Reads Linux's /proc/cpuinfo. An empty text gives a processor without features: the safe choice.
    init(cpuinfo: String) {
        func value(_ key: String) -> String? {
            cpuinfo.split(separator: "\n").first { $0.hasPrefix(key) }?
                .split(separator: ":", maxSplits: 1).last.map { $0.trimmingCharacters(in: .whitespaces) }
        }
        self.init(
            name: value("model name") ?? "unknown",
            features: Set((value("flags") ?? "").split(separator: " ").map(String.init)))
    }
}
