import InverseProblems
import TensorKit

// The degradations as one writes them down in PyTorch at first: what this project's operators are measured against. A blur stands in
// for its own adjoint, as in the authors' code.

/// A Gaussian blur by convolutions of the whole kernel: one dense 61x61, or the rows' and the columns' 61 taps one after the other.
struct ConvolutionBlur: LinearOperator {
    let kernels: [Tensor]
    private let radius: Int

    init(size: Int = 61, sigma: Double = 3, dense: Bool, device: Device) throws {
        radius = size / 2
        let offsets = try Tensor.arange(size) - size / 2
        let unscaled = try (offsets.squared() * (-0.5 / (sigma * sigma))).exponential()
        let taps = try (unscaled / unscaled.sum()).to(device)
        let (column, row) = (try taps.reshaped([1, 1, size, 1]), try taps.reshaped([1, 1, 1, size]))
        kernels = dense ? [try column * row] : [column, row]
    }

    var name: String { "convolution" }
    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { input }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { output }

    func apply(_ video: Tensor) throws -> Tensor {
        // Every channel is an image of its own: one thread each.
        let shape = video.shape
        var x = try video.reshaped([shape[0] * shape[1], 1, shape[2], shape[3]])
        for kernel in kernels {
            let (rows, columns) = (kernel.size(2) > 1 ? radius : 0, kernel.size(3) > 1 ? radius : 0)
            x = try x.padded([columns, columns, rows, rows], .reflect).convolved(kernel)
        }
        return try x.reshaped(shape)
    }
    func adjoint(_ measurement: Tensor) throws -> Tensor { try apply(measurement) }
}

/// The average over time as a sum of shifted videos.
struct ShiftedAverage: LinearOperator {
    let window = 7

    var name: String { "shifts" }
    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { input }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { output }

    func apply(_ video: Tensor) throws -> Tensor {
        var sum = video
        for shift in 1...window / 2 {
            sum = try sum + video.rolled(shift, along: 0)
            sum = try sum + video.rolled(-shift, along: 0)
        }
        return try sum / window
    }
    func adjoint(_ measurement: Tensor) throws -> Tensor { try apply(measurement) }
}

/// Average pooling as a strided convolution, its adjoint as a transposed one.
struct ConvolutionPooling: LinearOperator {
    let factor = 4
    let kernel: Tensor

    init(device: Device) throws { kernel = try Tensor.full([3, 1, factor, factor], 1 / Double(factor * factor), device: device) }

    var name: String { "strided convolution" }
    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { input.prefix(2) + input.suffix(2).map { $0 / factor } }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { output.prefix(2) + output.suffix(2).map { $0 * factor } }
    func apply(_ video: Tensor) throws -> Tensor { try video.convolved(kernel, stride: factor, groups: 3) }
    func adjoint(_ measurement: Tensor) throws -> Tensor {
        try measurement.transposeConvolved(kernel, stride: factor, groups: 3)
    }
}

/// A mask as a choice between the pixels and zero.
struct ChoosingMask: LinearOperator {
    let known: Tensor

    init(ratio: Double, height: Int, width: Int, device: Device) throws {
        known = try Mask.random(ratio: ratio, seed: 0, height: height, width: width).mask.to(device).isGreater(than: 0.5)
    }

    var name: String { "where" }
    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { input }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { output }
    func apply(_ video: Tensor) throws -> Tensor {
        try video.selected(where: known, otherwise: Tensor.zeros([1], device: video.device))
    }
    func adjoint(_ measurement: Tensor) throws -> Tensor { try apply(measurement) }
}

/// The plain way to do one of the paper's tasks.
func plainOperator(
    _ task: String, denseBlur: Bool, height: Int, width: Int, device: Device
) throws -> (operator: any LinearOperator, description: String) {
    var parts: [(any LinearOperator, String)] = []
    if task == "average" || task.hasSuffix("+") { parts.append((ShiftedAverage(), "7 shifted videos added")) }
    switch task.prefix(while: { $0 != "+" }) {
    case "sr4": parts.append((try ConvolutionPooling(device: device), "strided 4x4 convolution"))
    case "deblur":
        parts.append(
            (try ConvolutionBlur(dense: denseBlur, device: device), denseBlur ? "dense 61x61 convolution" : "61x1 and 1x61 convolutions"))
    case "inpaint": parts.append((try ChoosingMask(ratio: 0.5, height: height, width: width, device: device), "torch.where"))
    default: break
    }
    guard let last = parts.last else { throw BenchmarkError.message("There is no task \(task).") }
    let composed = parts.count == 1 ? last.0 : Composition(first: parts[0].0, second: last.0)
    return (composed, parts.map(\.1).joined(separator: ", "))
}
