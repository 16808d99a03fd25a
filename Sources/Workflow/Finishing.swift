import InverseProblems
import TensorKit
import VisionXL

/// What is done to restored frames for those who find them too clean.
public struct Finishing: Codable, Hashable, Sendable {
    /// How much of the result there is, the rest being the measurement enlarged: 0 to 1; all when nil.
    public var mix: Double?
    /// How much of the measurement's noise is put back: 0 to 1; none when nil.
    public var grain: Double?

    public init(mix: Double? = nil, grain: Double? = nil) { (self.mix, self.grain) = (mix, grain) }

    public var isEmpty: Bool { mix ?? 1 == 1 && grain ?? 0 == 0 }

    /// Refuses numbers out of range.
    func validate() throws {
        for (name, value) in [("--mix", mix), ("--keep-grain", grain)] where !(0...1).contains(value ?? 0) {
            throw WorkflowError.message("\(name) must lie between 0 and 1.")
        }
    }

    /// - Parameters:
    ///   - whole: restored frames, (N, 3, H, W).
    ///   - first: the place of the first measured frame among them.
    /// - Returns: the same shape; frames that were not measured stay as they are.
    func applied(to whole: Tensor, _ measurement: VideoMeasurement, from first: Int = 0) throws -> Tensor {
        guard !isEmpty else { return whole }
        let X = try whole.rows(first..<first + measurement.frames.size(0))
        var result = X
        if let mix, mix < 1 {
            var enlarged = try measurement.enlarged(.bicubic)
            // What stands in a hole was not measured.
            if let known = measurement.known {
                let planes = known.rank == 2 ? try known.reshaped([1, 1, known.size(0), known.size(1)]) : known
                let full = try planes.upsampledNearest(height: X.size(2), width: X.size(3))
                enlarged = try enlarged * full + X * (full * -1 + 1)
            }
            result = try X * mix + enlarged * (1 - mix)
        }
        if let grain, grain > 0, measurement.noise.sigma > 0 {
            let residual = try measurement.frames - measurement.operator.apply(whole.to(measurement.frames.dtype))
            // What is farther off than noise gets is structure that the result has another view of.
            let limit = 3 * measurement.noise.sigma
            let noise = try VideoMeasurement(
                residual.clamped(to: -limit...limit), operator: measurement.operator, noise: measurement.noise)
            result = try result + noise.enlarged(.bicubic).to(result.dtype) * grain
        }
        if result.shape == whole.shape { return result }
        var all = try whole.copied()
        try all.replace(along: 0, from: first, with: result)
        return all
    }
}
