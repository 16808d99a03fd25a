"""The same work in Python: diffusers' networks and the Algorithm 1 of visionxl.py, one timed piece of work at a time.

Started by visionxl-bench. Reads one JSON request a line from standard input, answers with one JSON line each:
  {"op": "load", "folder": F, "format": "contiguous" | "channels_last", "dtype": "float32"}          -> {"seconds": s}
  {"op": "unet" | "encode" | "decode", "folder": ..., "format": ..., "dtype": ..., "input": TENSOR,
   "height": H, "width": W, "timestep": t, "output": PATH or nothing}                                -> {"seconds": s}
  {"op": "restore", ..., "task": "sr4", "input": MEASUREMENT, "noise": TENSOR, "output": ...}         -> {"seconds": s, "peak": bytes}
  {"op": "authors", "folder": ..., "dtype": ..., "task": "deblur", "input": MEASUREMENT}              -> {"seconds": s, "peak": bytes}
  {"op": "forget"}: lets go of all networks and tensors                                               -> {}
TENSOR is {"path": raw float32, "shape": [...]}. Reading, writing and loading are not timed unless they are the work.
"""

import argparse
import contextlib
import json
import os
import sys
import time

import authors
import numpy
import operators
import torch
import visionxl

arguments = argparse.ArgumentParser()
arguments.add_argument("--device", default="cpu")
arguments.add_argument("--threads", type=int, default=0)
arguments = arguments.parse_args()
device = torch.device(arguments.device)
if arguments.threads:
    torch.set_num_threads(arguments.threads)


def synchronize():
    if device.type == "cuda":
        torch.cuda.synchronize(device)


models = {}
tensors = {}
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def load(request):
    kind = authors.GuidedModel if request["op"] == "authors" else visionxl.Model
    return kind(request["folder"], device, getattr(torch, request["dtype"]), FORMATS[request.get("format", "contiguous")])


def model(request):
    key = request["op"] == "authors", request["folder"], request.get("format"), request["dtype"]
    if key not in models:
        models[key] = load(request)
    return models[key]


def tensor(description):
    path = description["path"]
    if path not in tensors:
        tensors[path] = torch.from_numpy(numpy.fromfile(path, dtype=numpy.float32)).reshape(description["shape"]).to(device)
    return tensors[path]


def peak_memory():
    """The GPU's that torch took; on a CPU of this process's own memory: ru_maxrss begins with that of the process that started it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def answer(request):
    op = request["op"]
    if op == "forget":
        models.clear()
        tensors.clear()
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        return {}
    if op == "load":
        began = time.perf_counter()
        load(request)
        synchronize()
        return {"seconds": time.perf_counter() - began}
    m = model(request)
    x = tensor(request["input"])
    if op == "restore":
        noise = tensor(request["noise"])
        work = lambda: visionxl.restore(m, operators.of_measurement(request["task"], *x.shape[2:]), x, lambda i: noise[i])
    elif op == "authors":
        work = lambda: authors.restore(m, request["task"], x)
    else:
        x = x.to(m.dtype).contiguous(memory_format=m.memory_format)
        if op == "unet":
            work = lambda: m.predict(x, request["timestep"], request["height"], request["width"])
        else:
            work = lambda: getattr(m.codec, op)(x)
    synchronize()
    began = time.perf_counter()
    result = work()
    synchronize()
    seconds = time.perf_counter() - began
    if request.get("output"):
        result.float().contiguous().cpu().numpy().tofile(request["output"])
    return {"seconds": seconds, "peak": peak_memory()}


def main():
    # Whatever a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    import diffusers

    description = f"diffusers {diffusers.__version__}, PyTorch {torch.__version__}, {torch.get_num_threads()} threads"
    print(json.dumps({"description": description}), file=answers)
    with torch.inference_mode():
        for line in sys.stdin:
            try:
                reply = answer(json.loads(line))
            except Exception as error:
                reply = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(reply), file=answers)


main()
