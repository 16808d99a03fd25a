import InverseProblems
import TensorKit

/// A product with a matrix along the columns.
struct ColumnProduct: LinearOperator {
    let matrix: Tensor
    let factor: AxisMatrix

    init(_ rows: [[Double]]) throws {
        matrix = try Tensor(rows.flatMap(\.self), shape: [rows.count, rows[0].count])
        factor = try AxisMatrix(rows: rows)
    }

    var name: String { "product along columns" }
    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { input.dropLast() + [matrix.size(0)] }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { output.dropLast() + [matrix.size(1)] }
    func apply(_ video: Tensor) throws -> Tensor { try video.multiplied(by: matrix.to(video.dtype).transposed(0, 1)) }
    func adjoint(_ measurement: Tensor) throws -> Tensor {
        try measurement.multiplied(by: matrix.to(measurement.dtype))
    }
    func separated(for shape: [Int]) throws -> SeparatedForm? { SeparatedForm(columns: .matrix(factor)) }
}

/// A product with a matrix across the channels.
struct ChannelProduct: LinearOperator {
    let matrix: Tensor
    let factor: AxisMatrix

    init(_ rows: [[Double]]) throws {
        matrix = try Tensor(rows.flatMap(\.self), shape: [rows.count, rows[0].count])
        factor = try AxisMatrix(rows: rows)
    }

    var name: String { "product across channels" }
    var mixesFrames: Bool { false }
    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { [input[0], matrix.size(0)] + input[2...] }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { [output[0], matrix.size(1)] + output[2...] }
    func apply(_ video: Tensor) throws -> Tensor { try multiply(matrix, video) }
    func adjoint(_ measurement: Tensor) throws -> Tensor { try multiply(matrix.transposed(0, 1), measurement) }
    func separated(for shape: [Int]) throws -> SeparatedForm? { SeparatedForm(channels: factor) }

    private func multiply(_ matrix: Tensor, _ x: Tensor) throws -> Tensor {
        try matrix.to(x.dtype).multiplied(by: x.reshaped([x.size(0), x.size(1), -1])).reshaped([
            x.size(0), matrix.size(0), x.size(2), x.size(3),
        ])
    }
}
