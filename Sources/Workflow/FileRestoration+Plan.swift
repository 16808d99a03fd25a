import VideoIO

extension FileRestoration {
    /// Looks at the video as far as the windows depend on it.
    static func plan(
        _ video: inout MeasuredVideo, _ tell: @escaping @Sendable (RestorationEvent) -> Void
    ) async throws -> WindowPlan {
        var cuts = try video.listedCuts()
        let said = try video.frameCount()
        var count = said ?? 0
        if video.looksForScenes || said == nil || !video.reader.countIsCertain || video.reader.mayHideFrames {
            // To the end means to the last frame that comes, which need not be the last one that is counted.
            let range = try video.range()
            let first = video.isOpen ? range?.lowerBound ?? 0 : 0
            let scan = try await video.reader.scanned(video.isOpen ? nil : range) {
                tell(.scanning(frame: $0, of: said.map { $0 + first }))
            }
            count = scan.frameCount - first
            guard count > 0 else {
                throw WorkflowError.message(
                    "--frames \(first): begins behind the video's end (it has \(scan.frameCount) frames).")
            }
            if video.looksForScenes { cuts = scan.cuts.map { $0 - first }.filter { $0 > 0 } }
            video.count(count)
        }
        return video.plan(frameCount: count, cuts: cuts)
    }
}
