import Foundation
import InverseProblems
import TensorKit
import TestSupport
import Testing
import VideoIO

@testable import Workflow

/// Masks as people make them, without a file.
@Suite struct MaskReadingTests {
    private static let hole = 5...9

    /// A row of 20 pixels, the hole's in one colour and the others in another.
    private static func frame(
        _ known: [UInt8], _ missing: [UInt8], opacity: (UInt8, UInt8)? = nil
    ) throws -> MaskFrame {
        func row(_ known: [UInt8], _ missing: [UInt8]) throws -> VideoFrame {
            try VideoFrame(
                width: 20, height: 1, pixels: .eightBit((0..<20).flatMap { hole.contains($0) ? missing : known }))
        }
        return try MaskFrame(
            row(known, missing),
            opacity: opacity.map { try row([$0.0, $0.0, $0.0], [$0.1, $0.1, $0.1]) })
    }

    private static func known(_ frame: MaskFrame, inverted: Bool = false) -> [UInt8] {
        var look = MaskLook()
        look.add(frame)
        return frame.known(look.kind, inverted: inverted)
    }

    @Test func everyWayOfMarkingIsUnderstood() throws {
        let right: [UInt8] = (0..<20).map { Self.hole.contains($0) ? 0 : 1 }
        let (white, black): ([UInt8], [UInt8]) = ([255, 255, 255], [0, 0, 0])
        #expect(Self.known(try Self.frame(white, black)) == right)
        #expect(Self.known(try Self.frame(black, white), inverted: true) == right)
        // 0 and 1; two greys; red on black, on white and on a picture's grey; black all over, the hole transparent.
        #expect(Self.known(try Self.frame([1, 1, 1], black)) == right)
        #expect(Self.known(try Self.frame([160, 160, 160], [90, 90, 90])) == right)
        #expect(Self.known(try Self.frame(black, [255, 0, 0])) == right)
        #expect(Self.known(try Self.frame(white, [255, 0, 0])) == right)
        #expect(Self.known(try Self.frame([120, 120, 120], [0, 220, 0])) == right)
        #expect(Self.known(try Self.frame(black, black, opacity: (255, 0))) == right)
        #expect(Self.known(try Self.frame(black, black, opacity: (255, 100))) == right)
    }

    /// A soft edge counts as hole, and the noise of JPEG in white does not.
    @Test func aSoftEdgeIsHole() throws {
        let values: [UInt8] = [
            255, 253, 250, 255, 200, 100, 3, 0, 0, 2, 90, 180, 240, 252, 255, 255, 254, 255, 255, 251,
        ]
        let frame = try MaskFrame(VideoFrame(width: 20, height: 1, pixels: .eightBit(values.flatMap { [$0, $0, $0] })))
        #expect(Self.known(frame) == values.map { $0 >= 240 ? 1 : 0 })
    }

    @Test(arguments: [0, 1, 2, 7]) func holesGrow(reach: Int) throws {
        var generator = RandomGenerator(seed: 3)
        let mask = PixelMask(
            width: 13, height: 9, known: try generator.normal([117]).array(of: Float.self).map { $0 < -2 ? 0 : 1 })
        let grown = mask.grown(by: reach)
        for y in 0..<9 {
            for x in 0..<13 {
                let isNear = (0..<117).contains {
                    mask.known[$0] == 0 && abs($0 / 13 - y) <= reach && abs($0 % 13 - x) <= reach
                }
                #expect((grown.known[y * 13 + x] == 0) == isNear)
            }
        }
    }

    @Test func anotherSizeOfTheSameShape() {
        let small = PixelMask(width: 2, height: 1, known: [0, 1])
        #expect(small.scaled(toWidth: 4, height: 2).known == [0, 0, 1, 1, 0, 0, 1, 1])
        #expect(small.scaled(toWidth: 4, height: 2).scaled(toWidth: 2, height: 1) == small)
    }
}

/// Masks in files.
@Suite(.enabled(if: ffmpegIsInstalled, needsFFmpeg)) struct MaskFileTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder("mask") }

    /// A film of masks: in frame n the column n is missing.
    private func film(_ name: String, frames: Int) async throws -> String {
        let path = folder.file(name)
        let writer = try await VideoWriter(to: path, width: 8, height: 4, bitDepth: 8, frameRate: .fps25)
        for n in 0..<frames {
            try await writer.append(
                VideoFrame(
                    width: 8, height: 4,
                    pixels: .eightBit((0..<96).map { $0 / 3 % 8 == n % 8 ? 0 : 255 })))
        }
        try await writer.finish()
        return path
    }

    /// Frame by frame, in whatever order windows ask, also where they overlap.
    @Test func aFilmHasAMaskForEachFrame() async throws {
        let file = try await MaskFile(
            Holes(file: film("film.mkv", frames: 12)), height: 4, width: 8, frames: 12)
        for range in [0..<5, 5..<10, 3..<8, 10..<12, 0..<2] {
            let masks = try await file.masks(range)
            #expect(masks.shape == [range.count, 1, 4, 8])
            let values = try masks.array(of: Float.self)
            for (index, value) in values.enumerated() {
                #expect(value == (index % 8 == (range.lowerBound + index / 32) % 8 ? 0 : 1))
            }
        }
        #expect(file.notes.count == 1 && file.notes[0].hasPrefix("13 % of the pixels are holes"))
        await #expect(throws: WorkflowError.self) { try await file.masks(10..<13) }
    }

    @Test func theNumberOfFramesMustFit() async throws {
        let path = try await film("film.mkv", frames: 4)
        await #expect(throws: WorkflowError.self) {
            try await MaskFile(Holes(file: path), height: 4, width: 8, frames: 5)
        }
    }

    /// The operator of a window has the window's own masks, before and after what needs neighbours in time.
    @Test(arguments: [
        Problem(Holes(file: "m")), Problem(Average(frames: 3, boundary: .valid), Holes(file: "m")),
        Problem(Shrink(factor: 2), Holes(file: "m")), Problem(Blur(sigma: 1, size: 3), Holes(file: "m")),
    ])
    func theOperatorTakesThem(problem: Problem) throws {
        let mask = try Tensor([Float](repeating: 1, count: 5 * 4 * 8), shape: [5, 1, 4, 8])
        let full = try problem.fullSize(ofMeasurement: [5, 3, 4, 8])
        let A = try problem.operator(height: full[2], width: full[3], files: ["m": mask])
        #expect(try A.outputShape(for: full) == [5, 3, 4, 8])
        #expect(throws: (any Error).self) { try A.outputShape(for: [full[0] + 1] + full[1...]) }
    }
}
