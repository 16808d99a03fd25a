import Foundation

// How long the program takes to build, in a copy of the package.
extension Bench {
    func build(into report: inout Report) throws {
        let exchange = try Exchange()
        let copy = exchange.path("package")
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
        let copying =
            "git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - | tar -xf - -C \"$1\""
        _ = try Child.time(["/bin/sh", "-c", copying, "sh", copy])
        let changed = URL(fileURLWithPath: copy).appendingPathComponent("Sources/VisionXLCommand/VisionXLCommand.swift")
        guard FileManager.default.fileExists(atPath: changed.path) else {
            throw BenchmarkError.message("The package could not be copied; run this in a checkout, with git and tar.")
        }
        let place = ["--package-path", copy, "--scratch-path", exchange.path("build")]
        // Fetching what the package depends on is no part of a build.
        _ = try Child.time(["swift", "package"] + place + ["resolve"])
        let build = ["swift", "build", "-c", "release", "--product", "visionxl", "--jobs", "\(threads)"] + place
        let clean = try Child.time(build)
        // A file's date alone would not do: another content makes sure that it is compiled again.
        let file = try FileHandle(forWritingTo: changed)
        try file.seekToEnd()
        try file.write(contentsOf: Data("\n// Changed to be built again.\n".utf8))
        try file.close()
        let again = try Child.time(build)
        report.table.add(
            Row(
                group: SpeedCommand.Group.build.rawValue, what: "visionxl, release: one file changed", size: "",
                ours: Timing(samples: [again]), alternative: "a clean build", theirs: Timing(samples: [clean]),
                note: "\(changed.lastPathComponent); one run each, \(threads) jobs"))
    }
}
