import TensorKit
import Testing

@testable import VideoIO

private let hasEngine = (try? Engine.load()) != nil

@Suite(.enabled(if: hasEngine, "the tensor library is not installed; run `make setup`"))
struct TensorBridgeTests {
    @Test func everyValueComesBack() throws {
        let eight = try VideoFrame(width: 16, height: 16, pixels: .eightBit((0..<768).map { UInt8($0 % 256) }))
        let sixteen = try VideoFrame(
            width: 256, height: 256, pixels: .sixteenBit((0..<196608).map { UInt16(truncatingIfNeeded: $0) }))
        for frame in [eight, sixteen] {
            let tensor = try frame.tensor
            #expect(tensor.shape == [3, frame.height, frame.width] && tensor.dtype == .float32)
            #expect(try VideoFrame(tensor: tensor, bitDepth: frame.bitDepth) == frame)
        }
    }

    @Test func channelsAndRangeAreWhereTheyShouldBe() throws {
        let frame = try VideoFrame(width: 2, height: 1, pixels: .eightBit([255, 0, 51, 0, 255, 204]))
        let values = try frame.tensor.array(of: Float.self)
        #expect(values[0...3] == [1, -1, -1, 1])
        #expect(abs(values[4] + 0.6) < 1e-6 && abs(values[5] - 0.6) < 1e-6)
    }

    @Test func valuesAreClampedAndRounded() throws {
        let tensor = try Tensor([-3, 3, 0.0001, -0.9999, 1.0001, 0.9] as [Float], shape: [3, 1, 2])
        #expect(try VideoFrame(tensor: tensor, bitDepth: 8).pixels == .eightBit([0, 128, 255, 255, 0, 242]))
    }

    @Test func batchesComeBack() throws {
        let frames = try (0..<3).map { try patternFrame(width: 5, height: 4, bitDepth: 8, seed: $0) }
        let batch = try Tensor(frames: frames)
        #expect(batch.shape == [3, 3, 4, 5])
        #expect(try VideoFrame.frames(of: batch, bitDepth: 8) == frames)
        let other = try patternFrame(width: 4, height: 5, bitDepth: 8)
        #expect(throws: VideoError.self) { try Tensor(frames: frames + [other]) }
        #expect(throws: VideoError.self) { try Tensor(frames: []) }
        #expect(throws: VideoError.self) { try VideoFrame(tensor: batch, bitDepth: 8) }
        #expect(throws: VideoError.self) { try VideoFrame(tensor: frames[0].tensor, bitDepth: 10) }
    }
}
