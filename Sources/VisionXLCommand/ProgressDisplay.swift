import Foundation
import Synchronization
import VisionXL
import Workflow

/// Shows where a restoration is: a line that is redrawn on a terminal, a line for every timestep elsewhere.
final class ProgressDisplay: Sendable {
    private let isTerminal: Bool
    private let state: Mutex<State>

    private struct State {
        var lines = ProgressLines()
        var lastDrawn = Date.distantPast
        /// Whether the line of the first look stands there.
        var isScanning = false
    }

    init(isTerminal: Bool = Console.isTerminal) {
        self.isTerminal = isTerminal
        state = Mutex(State())
    }

    func show(_ event: RestorationEvent) {
        switch event {
        case .note(let text):
            let isDrawn = state.withLock { state in
                defer { state.isScanning = false }
                return state.isScanning
            }
            if isDrawn { finish() }
            Console.note(text)
        case .scanning(let frame, let total):
            let isDue = state.withLock { state in
                guard isTerminal, Date().timeIntervalSince(state.lastDrawn) > 0.1 else { return false }
                (state.lastDrawn, state.isScanning) = (Date(), true)
                return true
            }
            guard isDue else { return }
            let text = "looking for scenes, frame \(frame)" + (total.map { "/\($0)" } ?? "")
            Console.write("\r\u{1B}[K" + text, to: STDERR_FILENO)
        case .progress(let progress, let window, let windows, let deviceMemory):
            let text = state.withLock { state in self.text(progress, window, windows, deviceMemory, &state) }
            guard let text else { return }
            // A line that wraps could not be drawn over.
            if isTerminal {
                Console.write("\r\u{1B}[K" + text.prefix((Console.terminalWidth ?? 200) - 1), to: STDERR_FILENO)
            } else {
                Console.note(text)
            }
        }
    }

    /// Another file's progress follows.
    func begin() { state.withLock { $0 = State() } }

    func finish() {
        if isTerminal { Console.write("\r\u{1B}[K", to: STDERR_FILENO) }
    }

    private func text(
        _ progress: RestorationProgress, _ window: Int, _ windows: Int?, _ deviceMemory: Int?, _ state: inout State
    ) -> String? {
        let now = Date()
        state.lines.note(progress, window: window, of: windows, now: now)
        // Nothing is put into words that is not shown: asking for the memory alone takes milliseconds.
        guard progress.residual != nil || isTerminal && now.timeIntervalSince(state.lastDrawn) > 0.1 else { return nil }
        state.lastDrawn = now
        let line =
            state.lines.line(progress, window: window, of: windows, now: now)
            + ", " + Usage.peaks(memory: Usage.peakMemory, deviceMemory: deviceMemory)
        guard !isTerminal, let residual = progress.residual else { return line }
        return line + String(format: ", residual %.2g -> %.2g", residual.before, residual.after)
    }
}

/// What a line says of the progress.
struct ProgressLines {
    /// Of the first piece of work: loading a model is none of the frames' time.
    private var began: Date?
    /// The part that was done then, by an earlier run.
    private var doneBefore = 0.0
    private var phaseBegan = Date()
    private var phase: (RestorationProgress.Phase, Int)?

    mutating func note(_ progress: RestorationProgress, window: Int = 0, of windows: Int? = nil, now: Date) {
        if began == nil { (began, doneBefore) = (now, Double(window) / Double(max(windows ?? 1, 1))) }
        if phase.map({ $0 != (progress.phase, progress.step) }) ?? true {
            phase = (progress.phase, progress.step)
            phaseBegan = now
        }
    }

    /// "window 2/12, step 3/8, decoding frame 12/25, 4.2 frames/s, 1:23 left".
    func line(_ progress: RestorationProgress, window: Int, of windows: Int?, now: Date) -> String {
        var parts: [String] = []
        if let windows, windows > 1 { parts.append("window \(window + 1)/\(windows)") }
        parts.append(progress.step == 0 ? "start" : "step \(progress.step)/\(progress.stepCount)")
        let isWhole = progress.phase == .optimizing
        parts.append(progress.phase.rawValue + (isWhole ? "" : " frame \(progress.frame)/\(progress.frameCount)"))
        let seconds = now.timeIntervalSince(phaseBegan)
        if seconds > 0.5, progress.frame > 1, !isWhole {
            parts.append(String(format: "%.2f frames/s", Double(progress.frame - 1) / seconds))
        }
        let elapsed = now.timeIntervalSince(began ?? now)
        let done = (Double(window) + progress.fraction) / Double(max(windows ?? window + 1, 1))
        let here = done - doneBefore
        if here > 0.01, windows != nil { parts.append(durationText(seconds: elapsed / here * (1 - done)) + " left") }
        return parts.joined(separator: ", ")
    }
}
