import TensorKit

// Metrics look at one frame at a time, in float64: a clip's worth of float64 would be several gigabytes.

/// Throws unless the tensor is a video: (N, C, H, W) with no size 0.
func requireVideo(_ video: Tensor) throws {
    let shape = video.shape
    guard shape.count == 4, shape.allSatisfy({ $0 > 0 }) else { throw MetricError.notAVideo(shape: shape) }
}

/// Throws unless the two are videos of the same shape.
func requireAlike(_ a: Tensor, _ b: Tensor) throws {
    try requireVideo(a)
    try requireVideo(b)
    guard a.shape == b.shape else { throw MetricError.shapesDiffer(a.shape, b.shape) }
}

/// Throws unless a video's frames have three channels.
func requireColour(_ video: Tensor) throws {
    guard video.size(1) == 3 else { throw MetricError.notColour(channels: video.size(1)) }
}

func requirePositive(range: Double) throws {
    guard range.isFinite, range > 0 else { throw MetricError.invalidRange(range) }
}

/// Frame `index` as (1, C, H, W) in float64, on `device` where that has float64 and else on the CPU.
func frame(_ video: Tensor, _ index: Int, on device: Device) throws -> Tensor {
    try video.rows(index..<index + 1).to(device.withFloat64).to(.float64)
}

extension Device {
    /// This device, or the CPU where it has no float64, as MPS has none.
    var withFloat64: Device { hasFloat64 ? self : .cpu }
}

/// The mean of all elements of a video's frame `frame`.
/// - Throws: `MetricError.notFinite` where that is NaN or infinite, as it is when an element is.
func finiteMean(_ values: Tensor, frame: Int) throws -> Double {
    let mean = try values.mean().item()
    guard mean.isFinite else { throw MetricError.notFinite(frame: frame) }
    return mean
}
