import Foundation
import VisionXL

/// Shows where a restoration is: a line that is redrawn on a terminal, a line for every timestep elsewhere.
struct ProgressDisplay: Sendable {
    let windowCount: Int?
    let isTerminal: Bool
    /// Bytes in use of a GPU's own memory, by whatever program; nil where there is none.
    let deviceMemory: @Sendable () -> Int?
    /// The most of them that was seen.
    private(set) var peakDeviceMemory: Int?
    private let began = Date()
    private var lastDrawn = Date.distantPast
    private var phaseBegan = Date()
    private var phase: (RestorationProgress.Phase, Int)?

    init(windowCount: Int?, isTerminal: Bool = Console.isTerminal, deviceMemory: @escaping @Sendable () -> Int? = { nil }) {
        self.windowCount = windowCount
        self.isTerminal = isTerminal
        self.deviceMemory = deviceMemory
    }

    /// - Parameter window: the number of the window that is being restored, from 0.
    mutating func show(_ progress: RestorationProgress, window: Int) {
        let now = Date()
        // The engine keeps what it freed, so that a glance now and then sees the peak.
        if let used = deviceMemory() { peakDeviceMemory = max(peakDeviceMemory ?? 0, used) }
        if phase.map({ $0 != (progress.phase, progress.step) }) ?? true {
            phase = (progress.phase, progress.step)
            phaseBegan = now
        }
        if isTerminal {
            guard now.timeIntervalSince(lastDrawn) > 0.1 || progress.residual != nil else { return }
            lastDrawn = now
            // A line that wraps could not be drawn over.
            let text = line(progress, window: window, now: now).prefix((Console.terminalWidth ?? 200) - 1)
            Console.write("\r\u{1B}[K" + text, to: STDERR_FILENO)
        } else if let residual = progress.residual {
            Console.note(line(progress, window: window, now: now) + String(format: ", residual %.2g -> %.2g", residual.before, residual.after))
        }
    }

    func finish() {
        if isTerminal { Console.write("\r\u{1B}[K", to: STDERR_FILENO) }
    }

    /// "window 2/12, step 3/8, decoding frame 12/25, 4.2 frames/s, 1:23 left, peak memory 2.1 GB", and on a GPU ", of the GPU 11.9 GB".
    func line(_ progress: RestorationProgress, window: Int, now: Date) -> String {
        var parts: [String] = []
        if let windowCount, windowCount > 1 { parts.append("window \(window + 1)/\(windowCount)") }
        parts.append(progress.step == 0 ? "start" : "step \(progress.step)/\(progress.stepCount)")
        let isWhole = progress.phase == .optimizing
        parts.append(progress.phase.rawValue + (isWhole ? "" : " frame \(progress.frame)/\(progress.frameCount)"))
        let seconds = now.timeIntervalSince(phaseBegan)
        if seconds > 0.5, progress.frame > 1, !isWhole { parts.append(String(format: "%.2f frames/s", Double(progress.frame - 1) / seconds)) }
        let elapsed = now.timeIntervalSince(began)
        let done = (Double(window) + progress.fraction) / Double(max(windowCount ?? window + 1, 1))
        if done > 0.01, windowCount != nil {
            parts.append(Usage.describe(seconds: elapsed / done * (1 - done)) + " left")
        }
        parts.append("peak memory " + Usage.describe(bytes: Usage.peakMemory))
        if let peakDeviceMemory { parts.append("of the GPU " + Usage.describe(bytes: peakDeviceMemory)) }
        return parts.joined(separator: ", ")
    }
}
