// swift-tools-version: 6.2
import PackageDescription

/// What swift-subprocess takes for paths and descriptors where Apple's own System is not there.
let systemPackage = Target.Dependency.product(
    name: "SystemPackage", package: "swift-system", condition: .when(platforms: [.linux]))

// Rooms from the ground up; a target depends only on rooms above it (Docs/Architecture.md).
let package = Package(
    name: "VisionXL",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "visionxl", targets: ["VisionXLCommand"]),
        .executable(name: "visionxl-bench", targets: ["VisionXLBenchmarks"]),
        .library(name: "VisionXL", targets: ["VisionXL", "Diffusion", "InverseProblems", "TensorKit"]),
        .library(name: "Workflow", targets: ["Workflow"]),
        .library(name: "Baselines", targets: ["Baselines"]),
        .library(name: "LatentDiffusion", targets: ["LatentDiffusion"]),
        .library(name: "PixelPriors", targets: ["PixelPriors"]),
        .library(name: "ModelHub", targets: ["ModelHub"]),
        .library(name: "VideoIO", targets: ["VideoIO"]),
        .library(name: "Metrics", targets: ["Metrics"]),
        .library(name: "Evaluation", targets: ["Evaluation"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.5.0"),
    ],
    targets: [
        .target(name: "CLibTorch"),
        .target(name: "TensorKit", dependencies: ["CLibTorch"]),
        .target(name: "Weights", dependencies: ["TensorKit"]),
        .target(
            name: "ModelHub",
            dependencies: [
                "Weights",
                .product(name: "Subprocess", package: "swift-subprocess"),
                systemPackage,
            ]),
        .target(name: "Diffusion", dependencies: ["TensorKit"]),
        .target(name: "Networks", dependencies: ["TensorKit", "Weights"]),
        .target(name: "LatentDiffusion", dependencies: ["TensorKit", "Weights", "Diffusion", "Networks"]),
        .target(name: "PixelPriors", dependencies: ["TensorKit", "Weights", "Diffusion", "Networks"]),
        .target(name: "InverseProblems", dependencies: ["TensorKit"]),
        .target(name: "VisionXL", dependencies: ["TensorKit", "Diffusion", "InverseProblems"]),
        .target(name: "Baselines", dependencies: ["TensorKit", "InverseProblems", "VisionXL"]),
        .target(
            name: "VideoIO",
            dependencies: [
                "TensorKit", "Weights",
                .product(name: "Subprocess", package: "swift-subprocess"),
                systemPackage,
            ]),
        .target(name: "Metrics", dependencies: ["TensorKit", "Weights"]),
        .target(
            name: "Workflow",
            dependencies: [
                "TensorKit", "Weights", "ModelHub", "VideoIO", "Diffusion", "Networks", "LatentDiffusion",
                "PixelPriors",
                "InverseProblems",
                "VisionXL",
            ]),
        .target(
            name: "Evaluation",
            dependencies: [
                "TensorKit", "Weights", "VideoIO", "Metrics", "Diffusion", "LatentDiffusion", "PixelPriors",
                "InverseProblems",
                "VisionXL", "Baselines", "Workflow",
            ]),
        .executableTarget(
            name: "VisionXLCommand",
            dependencies: [
                "TensorKit", "Weights", "ModelHub", "VideoIO", "Metrics", "LatentDiffusion", "InverseProblems",
                "VisionXL",
                "Workflow", "Evaluation",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        .executableTarget(
            name: "VisionXLBenchmarks",
            dependencies: [
                "TensorKit", "Weights", "VideoIO", "Metrics", "Diffusion", "LatentDiffusion", "InverseProblems",
                "VisionXL",
                "Baselines", "Workflow",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks/Sources"),

        .target(
            name: "TestSupport",
            dependencies: [
                "TensorKit", "Weights",
                .product(name: "Subprocess", package: "swift-subprocess"),
            ],
            path: "Tests/TestSupport", exclude: ["Hub"]),
        .testTarget(name: "TensorKitTests", dependencies: ["TensorKit", "TestSupport"]),
        .testTarget(name: "WeightsTests", dependencies: ["Weights", "TestSupport"]),
        .testTarget(name: "ModelHubTests", dependencies: ["ModelHub", "TestSupport"]),
        .testTarget(
            name: "LatentDiffusionTests",
            dependencies: ["LatentDiffusion", "Diffusion", "Networks", "TensorKit", "Weights", "TestSupport"],
            exclude: ["Fixtures"]),
        .testTarget(
            name: "PixelPriorsTests",
            dependencies: [
                "PixelPriors", "InverseProblems", "Diffusion", "Networks", "TensorKit", "Weights", "TestSupport",
            ],
            exclude: ["Fixtures"]),
        .testTarget(name: "InverseProblemsTests", dependencies: ["InverseProblems", "TensorKit", "TestSupport"]),
        .testTarget(
            name: "BaselinesTests",
            dependencies: [
                "Baselines", "InverseProblems", "Diffusion", "PixelPriors", "VisionXL", "Metrics", "TensorKit",
                "Weights",
                "TestSupport",
            ],
            exclude: ["Fixtures"]),
        .testTarget(name: "VideoIOTests", dependencies: ["VideoIO", "TensorKit", "TestSupport"]),
        .testTarget(
            name: "MetricsTests", dependencies: ["Metrics", "TestSupport", "TensorKit", "VideoIO", "Weights"],
            exclude: ["Fixtures", "convert_networks_test.py"]),
        .testTarget(
            name: "VisionXLTests",
            dependencies: [
                "VisionXL", "Diffusion", "InverseProblems", "LatentDiffusion", "TensorKit", "Weights", "TestSupport",
            ], exclude: ["Fixtures"]),
        .testTarget(
            name: "WorkflowTests",
            dependencies: [
                "Workflow", "Diffusion", "InverseProblems", "LatentDiffusion", "PixelPriors", "VisionXL", "VideoIO",
                "TensorKit", "TestSupport",
            ]),
        .testTarget(
            name: "EvaluationTests",
            dependencies: [
                "Evaluation", "Baselines", "InverseProblems", "Metrics", "VideoIO", "VisionXL", "Workflow", "TensorKit",
                "TestSupport",
            ]),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "VisionXLCommand", "TestSupport", "VisionXL", "Evaluation", "ModelHub", "LatentDiffusion",
                "InverseProblems", "Metrics",
                "TensorKit", "Weights", "Workflow",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                systemPackage,
            ],
            exclude: ["Snapshots"]),
    ],
    swiftLanguageModes: [.v6]
)
