import TensorKit
import VideoIO
import VisionXL

extension FileRestoration {
    /// Some frames, as measured and as the whole run would give them, in 8 bits; and how long that would take.
    /// - Parameter chosen: counted from the first frame that is restored.
    func look(
        at chosen: [Int], _ tell: @escaping @Sendable (RestorationEvent) -> Void
    ) async throws -> (measured: [VideoFrame], restored: [VideoFrame], estimate: TimeEstimate?) {
        let (session, video, plan, memory, finishing) = (session, video, plan, memory, recipe.finishing)
        let network = try await onThread(of: session.device) { _ in try session.load() }
        let hasOwn = self.estimate != nil
        var solver = try await onThread { [options] _ in
            try session.solver(network, options: options, hasOwnEstimate: hasOwn)
        }
        solver.passes = memory.passes
        var restorer = try WindowRestorer(session, video, plan, options, solver: solver)
        // Those in which the frames lie, those that are faded into them there, and what these begin with.
        let own = plan.windows.indices.filter { index in chosen.contains(where: plan.windows[index].kept.contains) }
        let wanted = Set(own.flatMap { plan.sources(of: $0..<$0 + 1) }).sorted()
        let all = Set(wanted).union(wanted.map { plan.firstWindow(ofScene: plan.windows[$0].scene) }).sorted()
        let batches = try batches(of: all)
        var brought = self.estimate?.frames(of: all, video, plan)
        var (estimate, measured, windows) = (TimeEstimate?.none, [Int: VideoFrame](), [Int: [VideoFrame]]())
        for index in all {
            guard let batch = try await batches.next() else { break }
            let Y = try await restorer.measured(batch)
            restorer.solver.ownEstimate = try await brought?.next(to: session.device)
            let (measurement, preparation, _) = try await restorer.prepared(index, Y, folder: nil)
            let (current, estimates, window) = (restorer.solver, estimate == nil, plan.windows[index])
            let found = try await onThread(of: session.device) { check in
                let estimate =
                    estimates
                    ? try TimeEstimate.found(
                        video, plan, memory.passes, current.prior, Policy.Extent(preparation.settings), check) : nil
                guard wanted.contains(index) else { return (estimate, [Int: VideoFrame](), [VideoFrame]()) }
                let result = try current.restore(
                    measurement, following: preparation.settings, from: preparation.start
                ) { progress in
                    try check()
                    tell(.progress(progress, window: index, windows: plan.windows.count, deviceMemory: nil))
                }
                let X = try finishing.applied(
                    to: result.frames, measurement, from: video.firstMeasured(of: window))
                let enlarged = try measurement.enlarged(.bicubic)
                var measured: [Int: VideoFrame] = [:]
                for frame in chosen where window.kept.contains(frame) {
                    measured[frame] = try VideoFrame(
                        tensor: enlarged.select(0, frame - window.batch.lowerBound), bitDepth: 8)
                }
                return (estimate, measured, try VideoFrame.frames(of: X.rows(video.kept(of: window)), bitDepth: 16))
            }
            estimate = estimate ?? found.0
            measured.merge(found.1) { first, _ in first }
            windows[index] = found.2
        }
        let restored = try chosen.compactMap { frame -> VideoFrame? in
            guard let index = own.first(where: { plan.windows[$0].kept.contains(frame) }) else { return nil }
            // Of an average without a border the frames around it are results, too.
            let place = frame - plan.windows[index].kept.lowerBound + plan.rules.surplus / 2
            return try plan.faded(index, place) { windows[$0] ?? [] }.reducedTo8Bits()
        }
        return (chosen.compactMap { measured[$0] }, restored, estimate)
    }
}
