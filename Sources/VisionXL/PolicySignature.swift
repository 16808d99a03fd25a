import Diffusion

extension Policy {
    /// A few letters that change whenever a default would come out otherwise under some condition: what results that are kept are known by.
    package static func signature(_ asked: RestorationOptions) throws -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for condition in Condition.all {
            for row in try table(asked, condition) {
                // FNV-1a.
                for byte in "\(row.name)=\(row.value ?? "");".utf8 { hash = (hash ^ UInt64(byte)) &* 0x0100_0000_01b3 }
            }
        }
        return String(hash, radix: 36)
    }

    /// Facts of no measurement in particular.
    private struct Condition: Facts {
        var sigma: Double
        var gain: Double?
        var isMixed: Bool
        var isPooled: Bool
        var bits: Int?

        static let all: [Condition] = [0, 0.002, 0.005, 0.02, 0.05].flatMap { sigma in
            [nil, 0.1, 10].flatMap { (gain: Double?) in
                [(false, false), (true, false), (true, true)].flatMap { isMixed, isPooled in
                    [nil, 8].map { (bits: Int?) in
                        Condition(sigma: sigma, gain: gain, isMixed: isMixed, isPooled: isPooled, bits: bits)
                    }
                }
            }
        }

        func noise() -> Double { sigma }
        func mixesPixels() -> Bool { isMixed }
        func keepsPixelsInBlocks() -> Bool { isPooled || !isMixed }
        func shrinks() -> Bool { isPooled }
        func roundedBits() -> Int? { bits }
        func schedule() -> DDIMSchedule { DDIMSchedule() }
        func decoderGain() -> Double? { gain }
    }
}
