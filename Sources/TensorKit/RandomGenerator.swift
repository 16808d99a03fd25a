import Dispatch
import Foundation

/// Seeded random numbers that are the same on every device, with every version of PyTorch.
///
/// Philox4x32-10, a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the seed is
/// the key, the position the counter. Two generators of one seed and different streams are independent.
public struct RandomGenerator: Sendable {
    private let key: (UInt32, UInt32)
    private let stream: UInt64
    private var position: UInt64 = 0

    public init(seed: UInt64, stream: UInt64 = 0) {
        key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
        self.stream = stream
    }

    /// Numbers of the standard normal distribution (Box-Muller). Drawn on the CPU, on all of its cores, whatever the device.
    public mutating func normal(
        _ shape: [Int], dtype: DType = .float32, device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        let count = shape.reduce(1, *)
        let start = self
        let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            let target = Unchecked(buffer)
            let piece = 1 << 16
            DispatchQueue.concurrentPerform(iterations: (count + piece - 1) / piece) { part in
                var generator = start
                generator.position &+= UInt64(part * piece) / 4
                generator.fillNormal(target.buffer, part * piece..<min((part + 1) * piece, count))
            }
            initialized = count
        }
        position &+= UInt64(count + 3) / 4
        return try Tensor(values, shape: shape).to(dtype).to(device)
    }

    private mutating func fillNormal(_ buffer: UnsafeMutableBufferPointer<Float>, _ range: Range<Int>) {
        var index = range.lowerBound
        while index < range.upperBound {
            let bits = nextBlock()
            for pair in [(bits.0, bits.1), (bits.2, bits.3)] {
                // (0, 1] so that the logarithm is finite.
                let radius = (-2 * log((Double(pair.0) + 1) * 0x1p-32)).squareRoot()
                let angle = 2 * Double.pi * Double(pair.1) * 0x1p-32
                if index < range.upperBound { buffer[index] = Float(radius * cos(angle)) }
                if index + 1 < range.upperBound { buffer[index + 1] = Float(radius * sin(angle)) }
                index += 2
            }
        }
    }

    /// Numbers of the uniform distribution on [0, 1).
    public mutating func uniform(
        _ shape: [Int], dtype: DType = .float32, device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        try Tensor(uniform(count: shape.reduce(1, *)), shape: shape).to(dtype).to(device)
    }

    /// Fills `buffer` with numbers of the uniform distribution on [-bound, bound), those from the `start`-th on of the stream, wherever the
    /// generator stands. On all cores; about 3 ns a number and core.
    /// - Parameter start: a multiple of 4.
    public func fillUniform(_ buffer: UnsafeMutableBufferPointer<Float>, bound: Float, from start: Int) {
        precondition(start >= 0 && start.isMultiple(of: 4), "A block of random bits is four numbers.")
        let piece = 1 << 16
        let target = Unchecked(buffer)
        DispatchQueue.concurrentPerform(iterations: (buffer.count + piece - 1) / piece) { index in
            let buffer = target.buffer
            // Two's complement: a word from the upper half is negative.
            let scale = bound * 0x1p-31
            var generator = self
            generator.position = UInt64(start + index * piece) / 4
            var offset = index * piece
            let end = min(offset + piece, buffer.count)
            while offset < end {
                let bits = generator.nextBlock()
                if offset < end { buffer[offset] = scale * Float(Int32(bitPattern: bits.0)) }
                if offset + 1 < end { buffer[offset + 1] = scale * Float(Int32(bitPattern: bits.1)) }
                if offset + 2 < end { buffer[offset + 2] = scale * Float(Int32(bitPattern: bits.2)) }
                if offset + 3 < end { buffer[offset + 3] = scale * Float(Int32(bitPattern: bits.3)) }
                offset += 4
            }
        }
    }

    /// Each piece of the buffer is written by one thread.
    private struct Unchecked: @unchecked Sendable {
        let buffer: UnsafeMutableBufferPointer<Float>
        init(_ buffer: UnsafeMutableBufferPointer<Float>) { self.buffer = buffer }
    }

    /// The numbers 0 ..< count in random order (a Fisher-Yates shuffle).
    public mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        let numbers = uniform(count: count)
        for last in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(last, Int(numbers[last] * Double(last + 1)))
        }
        return order
    }

    private mutating func uniform(count: Int) -> [Double] {
        var values: [Double] = []
        values.reserveCapacity(count)
        while values.count < count {
            let bits = nextBlock()
            for word in [bits.0, bits.1, bits.2, bits.3] where values.count < count {
                values.append(Double(word) * 0x1p-32)
            }
        }
        return values
    }

    private mutating func nextBlock() -> (UInt32, UInt32, UInt32, UInt32) {
        defer { position &+= 1 }
        return Self.philox(
            counter: (
                UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: position >> 32),
                UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)
            ), key: key)
    }

    /// Ten rounds of Philox4x32.
    static func philox(
        counter: (UInt32, UInt32, UInt32, UInt32), key: (UInt32, UInt32)
    ) -> (UInt32, UInt32, UInt32, UInt32) {
        var (c0, c1, c2, c3) = counter
        var (k0, k1) = key
        for _ in 0..<10 {
            let first = UInt64(c0) &* 0xD251_1F53
            let second = UInt64(c2) &* 0xCD9E_8D57
            (c0, c1, c2, c3) = (
                UInt32(truncatingIfNeeded: second >> 32) ^ c1 ^ k0, UInt32(truncatingIfNeeded: second),
                UInt32(truncatingIfNeeded: first >> 32) ^ c3 ^ k1, UInt32(truncatingIfNeeded: first)
            )
            k0 &+= 0x9E37_79B9
            k1 &+= 0xBB67_AE85
        }
        return (c0, c1, c2, c3)
    }
}
