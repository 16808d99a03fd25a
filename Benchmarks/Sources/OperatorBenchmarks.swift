import Baselines
import InverseProblems
import TensorKit

// Operators and conjugate gradients of the paper's tasks, against the plain way to write them.
extension Bench {
    func operators(size: (height: Int, width: Int), frames: Int, denseFrames: Int, into table: inout Table) throws {
        // One random frame, moved: as many random numbers as a video has take longer than the rest.
        var random = RandomGenerator(seed: 1)
        let frame = try random.uniform([1, 3, size.height, size.width], device: device) * 2 - 1
        func video(_ count: Int) throws -> Tensor {
            try Tensor.concatenate((0..<count).map { try frame.rolled(7 * $0 * $0, along: 3) }, along: 0)
        }
        let all = try video(frames)
        for task in Problem.tasks {
            try operators(task, all, denseBlur: false, into: &table)
            if task.hasPrefix("deblur") { try operators(task, video(denseFrames), denseBlur: true, into: &table) }
        }
    }

    private func operators(_ task: String, _ x: Tensor, denseBlur: Bool, into table: inout Table) throws {
        let (height, width) = (x.size(2), x.size(3))
        var ours = try Problem(task: task).operator(height: height, width: width)
        // A random mask is made on the CPU.
        if device != .cpu, task.hasPrefix("inpaint") {
            let mask = try Mask(Mask.random(ratio: 0.5, seed: 0, height: height, width: width).mask.to(device))
            ours = task == "inpaint" ? mask : try TemporalAverage(window: 7).then(mask)
        }
        let (plain, alternative) = try plainOperator(
            task, denseBlur: denseBlur, height: height, width: width, device: device)
        let y = try ours.apply(x)
        let agreement = String(format: "results differ by %.0e", try relativeDifference(y, plain.apply(x)))
        let size = x.shape.map(String.init).joined(separator: "x")
        let A = ours

        func row(_ what: String, _ timings: [Timing], _ alternative: String, _ note: String) {
            table.add(
                Row(
                    group: SpeedCommand.Group.operators.rawValue, what: "\(task): \(what)", size: size,
                    ours: timings[0],
                    alternative: alternative, theirs: timings[1], note: note))
        }
        func both(_ operation: any LinearOperator) throws -> Double {
            try seconds(on: device) { _ = try operation.adjoint(operation.apply(x)) }
        }
        row(
            "apply and adjoint", try repetitions.alternate([{ try both(A) }, { try both(plain) }]), alternative,
            agreement)

        // From a start that the steps have to work on.
        let start = try x.rolled(3, along: 2)
        var reports: [String: ConjugateGradientsReport] = [:]
        func solving(_ name: String, _ operation: any LinearOperator) -> Side {
            {
                try seconds(on: device) {
                    reports[name] = try conjugateGradients(operation, measurement: y, start: start, iterations: 10)
                        .report
                }
            }
        }
        func describe(_ name: String) -> String {
            reports[name].map {
                "\(name): residual " + String(format: "%.0e after \($0.steps) steps", $0.residualAfter)
            } ?? ""
        }
        // Ten steps of a whole video take the convolutions minutes.
        let isSlow = task.hasPrefix("deblur")
        if !isSlow || denseBlur {
            row(
                "CG, 10 steps at most, normal equations",
                try repetitions.alternate([solving("ours", A), solving("theirs", plain)]),
                "CG with \(alternative)", "\(describe("ours")); \(describe("theirs"))")
        }
        if !denseBlur {
            // The operator keeps a blur's singular vectors from the first of the repetitions on.
            var residual = 0.0
            row(
                "proximal point, ratio 1000",
                try repetitions.alternate([
                    {
                        var x = start
                        let time = try seconds(on: device) { x = try A.proximal(y, around: start, ratio: 1000) }
                        residual = try (y - A.apply(x)).norm() / y.norm()
                        return time
                    }, solving("ours", A),
                ]), "CG, 10 steps at most", String(format: "residual %.0e; ", residual) + describe("ours"))
            // The step of a restoration: 8 bits' noise, the prior's error found in the measurement.
            row(
                "data step, error measured",
                try repetitions.alternate([
                    {
                        try seconds(on: device) {
                            _ = try A.proximal(
                                y, around: start, noise: 2.0 / 255 / 12.0.squareRoot(), error: 0.04...0.2)
                        }
                    }, solving("ours", A),
                ]), "CG, 10 steps at most", describe("ours"))
        }
        if symmetrizer(of: A) != nil, !denseBlur {
            let symmetric: Side = {
                try seconds(on: device) {
                    reports["symmetric"] = try symmetricConjugateGradients(A, measurement: y, start: start).report
                }
            }
            row(
                "CG, 10 steps, with the symmetrizer", try repetitions.alternate([symmetric, solving("normal", A)]),
                "normal equations", "\(describe("symmetric")); \(describe("normal"))")
        }
    }
}
