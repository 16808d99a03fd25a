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
        let scaled = try unscaled / unscaled.sum()
        // Nothing where a float32 sum does not see it: products of far taps are denormal numbers, which take three times as long.
        let taps = try scaled.selected(where: scaled.isGreater(than: 1e-12), otherwise: Tensor.zeros([1])).to(device)
        // One kernel for each channel.
        func kernel(_ weights: Tensor, _ rows: Int, _ columns: Int) throws -> Tensor {
            try weights.reshaped([1, 1, rows, columns]).repeated([3, 1, 1, 1])
        }
        if dense {
            kernels = [try kernel(taps.reshaped([size, 1]).multiplied(by: taps.reshaped([1, size])), size, size)]
        } else {
            kernels = [try kernel(taps, size, 1), try kernel(taps, 1, size)]
        }
    }

    var name: String { "convolution" }
    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] { input }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] { output }

    func apply(_ video: Tensor) throws -> Tensor {
        var x = video
        for kernel in kernels {
            let (rows, columns) = (kernel.size(2) > 1 ? radius : 0, kernel.size(3) > 1 ? radius : 0)
            x = try x.padded([columns, columns, rows, rows], .reflect).convolved(kernel, groups: 3)
        }
        return x
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

    init(device: Device) throws {
        kernel = try Tensor.full([3, 1, factor, factor], 1 / Double(factor * factor), device: device)
    }

    var name: String { "strided convolution" }
    func outputShape(for input: [Int]) throws(ProblemError) -> [Int] {
        input.prefix(2) + input.suffix(2).map { $0 / factor }
    }
    func inputShape(for output: [Int]) throws(ProblemError) -> [Int] {
        output.prefix(2) + output.suffix(2).map { $0 * factor }
    }
    func apply(_ video: Tensor) throws -> Tensor { try video.convolved(kernel, stride: factor, groups: 3) }
    func adjoint(_ measurement: Tensor) throws -> Tensor {
        try measurement.transposeConvolved(kernel, stride: factor, groups: 3)
    }
}

/// A mask as a choice between the pixels and zero.
struct ChoosingMask: LinearOperator {
    let known: Tensor

    init(ratio: Double, height: Int, width: Int, device: Device) throws {
        known = try Mask.random(ratio: ratio, seed: 0, height: height, width: width).mask.to(device).isGreater(
            than: 0.5)
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
            (
                try ConvolutionBlur(dense: denseBlur, device: device),
                denseBlur ? "dense 61x61 convolution" : "61x1 and 1x61 convolutions"
            ))
    case "inpaint":
        parts.append((try ChoosingMask(ratio: 0.5, height: height, width: width, device: device), "torch.where"))
    default: break
    }
    guard let last = parts.last else { throw BenchmarkError.message("There is no task \(task).") }
    let composed = parts.count == 1 ? last.0 : Composition(first: parts[0].0, second: last.0)
    return (composed, parts.map(\.1).joined(separator: ", "))
}
