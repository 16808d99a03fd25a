import TensorKit

/// A part of D: the pairs of neighbours along one axis, of one frame or of one frame and the next.
package struct Neighbours {
    package let frame: Int
    package let axis: Int

    /// All pairs of a video of a shape, frame by frame; the last index of an axis has no difference (Neumann's border).
    package static func all(_ shape: [Int]) -> [Neighbours] {
        (0..<shape[0]).flatMap { frame in
            [3, 2, 0].filter { shape[$0] > ($0 == 0 ? frame + 1 : 1) }.map { Neighbours(frame: frame, axis: $0) }
        }
    }

    /// The shape of the differences.
    package func shape(in video: [Int]) -> [Int] {
        var shape = [1] + video[1...]
        if axis != 0 { shape[axis] -= 1 }
        return shape
    }

    /// D x: the later neighbour minus the earlier.
    package func difference(_ x: Tensor) throws -> Tensor {
        if axis == 0 { return try x.rows(frame + 1..<frame + 2) - x.rows(frame..<frame + 1) }
        let x = try x.rows(frame..<frame + 1)
        let count = x.size(axis) - 1
        return try x.narrow(axis, from: 1, count: count) - x.narrow(axis, from: 0, count: count)
    }

    /// x += factor D'd.
    package func addAdjoint(_ d: Tensor, times factor: Double, to x: inout Tensor) throws {
        var place = [frame, 0, 0, 0]
        try x.add(d, times: -factor, at: place)
        place[axis] += 1
        try x.add(d, times: factor, at: place)
    }
}
