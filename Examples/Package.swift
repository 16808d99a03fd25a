// swift-tools-version: 6.2
import PackageDescription

// A package of its own, as yours would be: it uses the library from outside.
let package = Package(
    name: "VisionXLExamples",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "VisionXL", path: "..")],
    targets: [
        .executableTarget(
            name: "RestoreClip",
            dependencies: [
                .product(name: "VisionXL", package: "VisionXL"), .product(name: "Workflow", package: "VisionXL"),
                .product(name: "LatentDiffusion", package: "VisionXL"), .product(name: "VideoIO", package: "VisionXL"),
                .product(name: "Metrics", package: "VisionXL"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
