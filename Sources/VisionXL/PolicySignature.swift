import Diffusion
import InverseProblems

extension Policy {
    /// A few letters that change when a default comes out otherwise under any of many conditions.
    package static func signature(_ asked: RestorationOptions) throws -> String {
        try shortHash(of: Condition.all.flatMap { try table(asked, $0).map { "\($0.name)=\($0.value ?? "")" } })
    }

    /// A few letters for many words (FNV-1a).
    package static func shortHash(of words: some Sequence<String>) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for word in words {
            for byte in "\(word);".utf8 { hash = (hash ^ UInt64(byte)) &* 0x0100_0000_01b3 }
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
        var enlarges: Bool
        var isAveraged: Bool
        var isGivenEstimate: Bool

        static let all: [Condition] = noises.flatMap { sigma in
            [nil, 0.1, 0.3, 10].flatMap { (gain: Double?) in
                [(false, false), (true, false), (true, true)].flatMap { isMixed, isPooled in
                    [nil, 8, 16].flatMap { (bits: Int?) in
                        (isPooled
                            ? [(false, false, false), (true, false, false), (true, true, false), (false, false, true)]
                            : [(false, false, false), (false, false, true)])
                            .map {
                                Condition(
                                    sigma: sigma, gain: gain, isMixed: isMixed, isPooled: isPooled, bits: bits,
                                    enlarges: $0, isAveraged: $1, isGivenEstimate: $2)
                            }
                    }
                }
            }
        }

        // On either side of what rules distinguish.
        private static let noises = [
            0, NoiseLevel.rounding(toBits: 16), 0.002, NoiseLevel.rounding(toBits: 8), 0.006, 0.012, 0.05,
        ]

        func noise() -> Double { sigma }
        func mixesPixels() -> Bool { isMixed }
        func mixesFrames() -> Bool { isAveraged }
        func keepsPixelsInBlocks() -> Bool { isPooled || !isMixed }
        func shrinks() -> Bool { isPooled }
        func roundedBits() -> Int? { bits }
        func canEnlarge() -> Bool { enlarges }
        func hasOwnEstimate() -> Bool { isGivenEstimate }
        func schedule() -> DDIMSchedule { DDIMSchedule() }
        func decoderGain() -> Double? { gain }
    }
}
