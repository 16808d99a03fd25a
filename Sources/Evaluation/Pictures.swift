import Foundation
import TensorKit
import VideoIO

/// The pictures that a report shows of a video: the same part of each.
struct Pictures: Sendable {
    /// Left, top and side of the square that is shown.
    let left: Int
    let top: Int
    let side: Int

    /// Differences are shown this many times as large.
    static let differenceGain = 4.0
    /// Rows of a slice's picture for each frame.
    static let rowsPerFrame = 6

    init(crop: [Int]) { (left, top, side) = (crop[0], crop[1], crop[2]) }
    var crop: [Int] { [left, top, side] }

    /// Where the middle frame has the most detail: the square of the largest mean gradient.
    init(of video: Tensor) throws {
        let (count, height, width) = (video.size(0), video.size(2), video.size(3))
        side = min(256, height, width)
        let block = max(1, side / 8)
        let grey = try video.rows(count / 2..<count / 2 + 1).to(.cpu).to(.float32).mean(
            along: [1], keepingDimensions: true)
        let down = try (grey.narrow(2, from: 1, count: height - 1) - grey.narrow(2, from: 0, count: height - 1))
            .absolute()
        let across = try (grey.narrow(3, from: 1, count: width - 1) - grey.narrow(3, from: 0, count: width - 1))
            .absolute()
        let gradient = try down.narrow(3, from: 0, count: width - 1) + across.narrow(2, from: 0, count: height - 1)
        var best = (value: -1.0, x: 0, y: 0)
        for y in stride(from: 0, through: height - side, by: block) {
            for x in stride(from: 0, through: width - side, by: block) {
                let inside = try gradient.narrow(2, from: y, count: min(side, height - 1 - y))
                    .narrow(3, from: x, count: min(side, width - 1 - x)).mean().item()
                if inside > best.value { best = (inside, x, y) }
            }
        }
        (left, top) = (best.x, best.y)
    }

    /// The square of the middle frame.
    func detail(of video: Tensor) throws -> VideoFrame { try VideoFrame(tensor: cropped(video), bitDepth: 8) }

    /// |video - truth| in the same square, enlarged; black is no difference.
    func difference(of video: Tensor, from truth: Tensor) throws -> VideoFrame {
        let error = try (cropped(video) - cropped(truth)).absolute().mean(along: [1], keepingDimensions: true)
        return try VideoFrame(
            tensor: (error * Self.differenceGain - 1).expanded([1, 3, side, side]).contiguous(), bitDepth: 8)
    }

    /// One row of pixels, from the square's middle and as wide as two squares, over time: time runs downwards. A steady video has smooth
    /// vertical lines, a flickering one has combs.
    func slice(of video: Tensor) throws -> VideoFrame {
        let width = min(2 * side, video.size(3))
        let start = min(max(left + side / 2 - width / 2, 0), video.size(3) - width)
        let rows = try video.narrow(2, from: top + side / 2, count: 1).narrow(3, from: start, count: width).to(.cpu)
        let picture = try rows.permuted([2, 1, 0, 3]).contiguous()
        return try VideoFrame(
            tensor: picture.upsampledNearest(height: video.size(0) * Self.rowsPerFrame, width: width), bitDepth: 8)
    }

    private func cropped(_ video: Tensor) throws -> Tensor {
        let middle = video.size(0) / 2
        return try video.rows(middle..<middle + 1).narrow(2, from: top, count: side).narrow(3, from: left, count: side)
            .to(.cpu).contiguous()
    }
}
