import Foundation

extension Rules {
    /// What was chosen, and why, a row for each number.
    func rows() throws -> [Policy.Row] {
        func number(_ value: Double) -> String { String(format: "%g", value) }
        func yes(_ value: Bool) -> String { value ? "yes" : "no" }
        func finalStepText(_ count: Int) -> String {
            ownDataStep == nil && !isProximal ? "\(count) steps" : count > 0 ? "once" : "none"
        }
        var rows = [
            try Choice.row(
                "timesteps", "--speed, --timesteps", { $0.map(String.init).joined(separator: " ") }, timesteps),
            try ownDataStep.map { Policy.Row("data step", "", "\(type(of: $0))", "As said.") }
                ?? Choice.row("data step", "--data-step", \.rawValue, dataStepKind),
        ]
        // The numbers of somebody's own step are its own.
        if ownDataStep == nil {
            rows +=
                isProximal
                ? [
                    try Choice.row(
                        "c", "--prior-error", { "\(number($0.lowerBound)):\(number($0.upperBound))" }, priorError),
                    try Choice.row("rounding's bands", "", { $0.map { "of \($0) bits" } ?? "none" }, roundedBits),
                ]
                : [
                    try Choice.row("l", "--cg-steps", { "\($0)" }, iterations),
                    try Choice.row("frames alone", "", yes, solvesFramesAlone),
                ]
        }
        rows += [
            try Choice.row("final data step", "--final-cg-steps", finalStepText, finalIterations),
            try Choice.row("eta", "--eta", number, eta),
            try Choice.row("lambda", "--lambda", number, lambda),
            try Choice.row("taps", "--low-pass-taps", { $0.count.map { "\($0)" } ?? "enough" }, taps),
            try Choice.row("steadiness", "--steadiness", number, steadiness),
            try Choice.row("steadies the result", "", yes, steadiesResult),
            try Choice.row("start", "--start", \.rawValue, start),
            try facts.hasOwnEstimate()
                ? Policy.Row(Policy.firstEstimateRow, "--first-estimate-from", "given", "As said.")
                : Choice.row(Policy.firstEstimateRow, "--first-estimate", \.rawValue, firstEstimate),
            try Choice.row("enlargement", "--upsampling", \.rawValue, upsampling),
            try Choice.row("renoising", "", \.rawValue, renoising),
            try Choice.row("encoder", "--sample-encoder", { $0 ? "sampled" : "mean" }, samplesEncoder),
            try Choice.row(Policy.fullCodecRow, "--full-vae-steps", { "last \($0) timesteps" }, exactCodecSteps),
            try Choice.row("autoencoder's residual", "--vae-residual", number, codecResidual),
            try Choice.row("seed", "--seed", { "\($0)" }, seed),
        ]
        return rows
    }
}
