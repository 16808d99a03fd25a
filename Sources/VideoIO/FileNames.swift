import Foundation

/// What files are by their names, where folders are looked through. Whatever is named itself is tried.
package enum FileNames {
    private static let videos: Set<String> = [
        "mp4", "mov", "mkv", "avi", "webm", "m4v", "mpg", "mpeg", "ts", "m2ts", "mts", "vob", "wmv", "flv", "3gp",
        "ogv", "mxf", "y4m", "dv", "asf",
    ]
    private static let pictures: Set<String> = ["png", "jpg", "jpeg"]

    package static func isVideo(_ path: String) -> Bool { videos.contains(ending(path)) }

    package static func isPicture(_ path: String) -> Bool { pictures.contains(ending(path)) }

    private static func ending(_ path: String) -> String { (path as NSString).pathExtension.lowercased() }
}
