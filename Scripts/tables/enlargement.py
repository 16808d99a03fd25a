"""Makes a table and a file of numbers of enlarged frames: coded ones, or exact ones.

usage: enlargement.py coded|exact COMMAND REVISION VISIONXL WORK DESTINATION CLIP...
"""

import itertools
import json
import os
import pathlib
import subprocess
import sys

import evaluations

CODED = list(itertools.product([4, 2], ["area", "bicubic"], [18, 23]))
# The factor, frames averaged, noise.
EXACT = [(2, 1, 0.0), (3, 1, 0.0), (4, 1, 0.0), (8, 1, 0.0), (4, 1, 0.05), (4, 7, 0.0)]


def ffmpeg(source: pathlib.Path, target: pathlib.Path, filters: str, *codec: str) -> None:
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(source), "-vf", filters, *codec, str(target)], check=True
    )


def size(video: pathlib.Path) -> list[int]:
    text = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v", "-count_packets", "-show_entries"]
        + ["stream=nb_read_packets,height,width", "-of", "json", str(video)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    stream = json.loads(text)["streams"][0]
    return [int(stream["nb_read_packets"]), stream["height"], stream["width"]]


class Table:
    def __init__(self, visionxl: str, work: str) -> None:
        self.visionxl, self.work = visionxl, pathlib.Path(work)
        self.cells: list[dict] = []

    def run(self, *arguments: object) -> None:
        done = subprocess.run([self.visionxl, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"visionxl {' '.join(map(str, arguments))}: {done.stderr}")

    def machine(self) -> dict:
        said = subprocess.run([self.visionxl, "doctor"], capture_output=True, text=True).stdout
        words = dict(line.split(None, 1) for line in said.splitlines() if len(line.split(None, 1)) == 2)
        processor, cores = words["processor"].rsplit(", ", 1)
        return {"processor": processor, "cores": int(cores.split()[0]), "engine": words["engine"].split(",")[0]}

    def truth(self, clip: str, factor: int) -> pathlib.Path:
        """The clip at a size that shrinks to even numbers."""
        target, even = self.work / f"{pathlib.Path(clip).stem}-{factor}.mkv", 2 * factor
        ffmpeg(pathlib.Path(clip), target, f"crop=floor(iw/{even})*{even}:floor(ih/{even})*{even}", *"-c:v ffv1 -pix_fmt bgr0".split())
        return target

    def measure(self, truth: pathlib.Path, clip: str, case: str, method: str, video: pathlib.Path, seconds: float = 0) -> None:
        scores = self.work / "scores.json"
        self.run("compare", truth, video, "--metrics", "psnr,ssim,lpips,flicker", "--json", scores, "--quiet", "--force")
        found = json.loads(scores.read_text())
        self.cells.append(
            {
                "clip": pathlib.Path(clip).stem,
                "case": case,
                "method": method,
                "frames": size(truth),
                "seconds": round(seconds, 2),
                **{name: round(found[name]["mean"], 4) for name in ("psnr", "ssim", "lpips")},
                # None where the truth stands still nowhere.
                "flicker over truth": round(found["flicker"]["video"] - found["flicker"]["truth"], 5) if "flicker" in found else None,
            }
        )
        cell = self.cells[-1]
        print(f"{cell['clip']}, {case}, {method}: {cell['psnr']:.2f} dB, LPIPS {cell['lpips']:.3f}", file=sys.stderr)

    def restore(self, truth: pathlib.Path, clip: str, case: str, method: str, small: pathlib.Path, *options: object) -> None:
        video, log = self.work / "restored.mkv", self.work / "log.json"
        self.run("restore", small, "-o", video, *options, "--json", log, "--force")
        self.measure(truth, clip, case, method, video, json.loads(log.read_text())["seconds"])

    def enlarge(self, truth: pathlib.Path, clip: str, case: str, small: pathlib.Path) -> None:
        _, height, width = size(truth)
        video = self.work / "bicubic.mkv"
        ffmpeg(small, video, f"scale={width}:{height}:flags=bicubic,format=gbrp", *"-c:v ffv1 -pix_fmt bgr0".split())
        self.measure(truth, clip, case, "bicubic", video)

    def coded(self, clip: str, factor: int, shrink: str, crf: int) -> None:
        truth, small = self.truth(clip, factor), self.work / "coded.mp4"
        ffmpeg(truth, small, f"scale=iw/{factor}:ih/{factor}:flags={shrink}", *f"-c:v libx264 -crf {crf} -pix_fmt yuv420p".split())
        case = f"by {factor}, {'means' if shrink == 'area' else shrink}, crf {crf}"
        self.enlarge(truth, clip, case, small)
        self.restore(truth, clip, case, "program", small, "--scale", factor)

    def exact(self, clip: str, factor: int, averaged: int, noise: float) -> None:
        truth, small = self.truth(clip, factor), self.work / "exact.mkv"
        average = ["--average", averaged] if averaged > 1 else []
        bits = ["--noise", noise] if noise else ["--bits", 8]
        self.run("degrade", truth, "-o", small, "--scale", factor, *average, *bits, "--force")
        case = f"by {factor}" + (f", {averaged} averaged" if average else "") + (f", noise {noise:g}" if noise else ", 8 bits")
        self.enlarge(truth, clip, case, small)
        for method in ("smooth", "learned"):
            self.restore(truth, clip, case, method, small, "--first-estimate", method)


def main() -> None:
    kind, command, revision, visionxl, work, destination, *clips = sys.argv[1:]
    table = Table(os.path.abspath(visionxl) if os.sep in visionxl else visionxl, work)
    for clip in clips:
        for case in CODED if kind == "coded" else EXACT:
            (table.coded if kind == "coded" else table.exact)(clip, *case)

    names = [pathlib.Path(clip).stem for clip in clips]

    def mean(metric: str, **wanted: object) -> float:
        return evaluations.mean(table.cells, metric, **wanted)

    def rows(methods: list[str], has_flicker: bool) -> list[str]:
        head = [f"{name}: {method}" for name in names for method in methods] + ["gain, mean"]
        lines = ["", "| | " + " | ".join(head) + " |", "|---|" + "---|" * len(head)]
        for case in dict.fromkeys(c["case"] for c in table.cells if c["method"] == methods[-1]):
            row = []
            for clip, method in itertools.product(names, methods):
                cell = {"case": case, "clip": clip, "method": method}
                has_place = has_flicker and all(c["flicker over truth"] is not None for c in table.cells if c["clip"] == clip)
                flicker = f" / {mean('flicker over truth', **cell):.4f}" if has_place else ""
                row.append(f"{mean('psnr', **cell):.2f} / {mean('lpips', **cell):.3f}{flicker}")
            gains = [
                mean(metric, case=case, method=methods[-1]) - mean(metric, case=case, method=methods[0])
                for metric in ("psnr", "lpips")
            ]
            lines.append(f"| {case} | " + " | ".join(row) + f" | {gains[0]:+.2f} / {gains[1]:+.3f} |")
        return lines

    if kind == "coded":
        title = "Enlarged frames of coded files"
        lines = ["", "Coded by x264, 4:2:0. PSNR in dB / LPIPS, against the bicubic enlargement."]
        lines += rows(["bicubic", "program"], has_flicker=False)
    else:
        title = "Enlarged frames of exact files"
        lines = ["", "PSNR in dB / LPIPS / flicker over truth, by the first estimate."]
        lines += rows(["smooth", "learned"], has_flicker=True)
    machine = table.machine()
    evaluations.write(destination, command, revision, machine, table.cells, title, lines)


main()
