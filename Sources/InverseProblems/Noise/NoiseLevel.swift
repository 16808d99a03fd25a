import Foundation
import TensorKit

/// Noise levels of measurements, as standard deviations in units of [-1, 1].
public enum NoiseLevel {
    /// Of rounding to `bits` bits: uniform over a step of 2 / (2^bits - 1), whose standard deviation is the step over the root of 12.
    public static func rounding(toBits bits: Int) -> Double { 2 / (pow(2, Double(bits)) - 1) / 12.0.squareRoot() }

    /// Of rounding luma and chroma instead of red, green and blue to `bits` bits: five times as much. Their steps are wider (219 and 224 for
    /// 255), blue takes 1.77 times the error of its chroma, and chroma of half the resolution has its error where frequencies are low, where a
    /// blur's inverse makes most of it. With less, deblurring fails (Docs/DataStep.md).
    public static func roundingOfLumaAndChroma(toBits bits: Int) -> Double { 5 * rounding(toBits: bits) }

    /// Of a coding that rounds the coefficients of each block's transform to multiples of `step`, in units of the pixel range 0...1:
    /// sqrt(0.03 r + 0.018^2), where r = 2 step / sqrt 12 is the error of a rounded coefficient. A fine quantizer errs by more than r, for
    /// its chroma's sake, a coarse one by less, since it drops most coefficients, which were smaller than that. Found by deblurring, and
    /// rather too much than too little (Docs/DataStep.md).
    public static func coding(quantizerStep step: Double) -> Double {
        (0.03 * 2 * step / 12.0.squareRoot() + 0.018 * 0.018).squareRoot()
    }

    /// Of independent kinds of noise together: the root of the sum of squares.
    public static func combined(_ levels: Double...) -> Double { levels.reduce(0) { $0 + $1 * $1 }.squareRoot() }

    /// Of white noise on a measurement, found where the pictures are flattest.
    ///
    /// A Laplacian takes away what changes linearly (Immerkær 1996); the mean of its absolute values over blocks of 16 x 16 pixels knows
    /// the noise where a block holds nothing else, so the tenth part with the smallest means is believed (the flattest blocks also have the
    /// luckiest noise, which a constant makes good). Where only some pixels are known, second differences along rows in place of it.
    /// On pictures full of texture it comes out too large, on compressed ones, which are smoothed where they are flat, too small.
    ///
    /// Cost: a few passes over each frame.
    /// - Parameters:
    ///   - measurement: (N, C, h, w) in [-1, 1].
    ///   - known: (h, w) or (N, 1, h, w) of 0 and 1; nil where every pixel is measured.
    /// - Returns: 0 or more; nil where the frames are too small or too little of them is known.
    public static func estimated(in measurement: Tensor, known: Tensor? = nil) throws -> Double? {
        let block = 16
        let (height, width) = (measurement.size(2), measurement.size(3))
        guard height >= block + 2, width >= block + 2 else { return nil }
        let known = try known?.to(.float32).to(measurement.device).reshaped([-1, 1, height, width])
        let valids = try known.map {
            try $0.narrow(3, from: 0, count: width - 2) * $0.narrow(3, from: 1, count: width - 2)
                * $0.narrow(3, from: 2, count: width - 2)
        }
        var means: [Float] = []
        for index in 0..<measurement.size(0) {
            let frame = try measurement.rows(index..<index + 1).to(.float32).transposed(0, 1)
            // [1 -2 1] / sqrt 6 along the rows, and down the columns: of white noise both keep the standard deviation.
            func second(_ x: Tensor, _ axis: Int) throws -> Tensor {
                let count = x.size(axis) - 2
                let sum = try x.narrow(axis, from: 0, count: count) + x.narrow(axis, from: 2, count: count)
                return try sum.adding(x.narrow(axis, from: 1, count: count), times: -2) / 6.0.squareRoot()
            }
            let across = try second(frame, 3)
            let response = try valids == nil ? second(across, 2).absolute() : across.absolute()
            let rows = response.size(2) / block * block
            let columns = response.size(3) / block * block
            func pooled(_ x: Tensor) throws -> Tensor {
                try x.narrow(2, from: 0, count: rows).narrow(3, from: 0, count: columns).contiguous().averagePooled(
                    block)
            }
            guard let valids else {
                means += try pooled(response).to(.cpu).array(of: Float.self)
                continue
            }
            let valid = valids.size(0) > 1 ? try valids.rows(index..<index + 1) : valids
            let (sums, counts) = (
                try pooled(response * valid).to(.cpu), try pooled(valid).to(.cpu).array(of: Float.self)
            )
            for channel in 0..<sums.size(0) {
                let values: [Float] = try sums.select(0, channel).contiguous().array()
                // At least eight differences, or their mean says nothing.
                for (value, count) in zip(values, counts) where count * Float(block * block) >= 8 {
                    means.append(value / count)
                }
            }
        }
        guard means.count >= 10 else { return nil }
        means.sort()
        let flattest = means.prefix(max(means.count / 10, 1))
        let mean = Double(flattest.reduce(0, +)) / Double(flattest.count)
        // Of normal noise the mean absolute value is sqrt(2 / pi) sigma; the least tenth of the blocks lies below their mean.
        return mean * (Double.pi / 2).squareRoot() / (valids == nil ? luckiest : luckiestOfFew)
    }

    /// The fewest bits, of 8 to 16, whose levels are all of a measurement's values; nil where it was not rounded.
    ///
    /// Cost: a pass over the measurement, and up to nine over its first frame.
    /// - Parameters:
    ///   - measurement: (N, C, h, w) in [-1, 1].
    ///   - known: (h, w) or (N, 1, h, w) of 0 and 1; nil where every pixel is measured.
    public static func bits(of measurement: Tensor, known: Tensor? = nil) throws -> Int? {
        let known = try known?.to(measurement.dtype).to(measurement.device)
        func distance(_ index: Int, _ bits: Int) throws -> Tensor {
            let frame = try measurement.rows(index..<index + 1)
            var distance = try frame - frame.rounded(toBits: bits)
            if let known { try distance.multiply(by: maskRows(known, index..<index + 1)) }
            return try distance.absolute().maximum()
        }
        /// Whether some frames are, read together.
        func areRounded(_ frames: Range<Int>, _ bits: Int) throws -> Bool {
            // Films of fewer bits may come as 16, half a step of which is 1 / 65535; and float32 rounds too.
            try Tensor.numbers(frames.map { try distance($0, bits) }).allSatisfy {
                $0 < (bits < 16 ? 1.1 : 0.03) / 65535
            }
        }
        let count = measurement.size(0)
        return try (8...16).first { try areRounded(0..<min(1, count), $0) && areRounded(min(1, count)..<count, $0) }
    }

    /// What the least tenth of the blocks' means is of their mean, for white noise: of 256 responses of the Laplacian, and of the 32 or so that
    /// half of the pixels leave. Simulated.
    private static let luckiest = 0.855
    private static let luckiestOfFew = 0.735
}
