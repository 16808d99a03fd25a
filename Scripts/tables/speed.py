"""Makes a table and a file of numbers of evaluations with --ablation speed.

usage: speed.py COMMAND REVISION NOISE=RESULTS... DESTINATION
"""

import datetime
import json
import sys

SPEEDS = ["best", "balanced", "fast"]


def main() -> None:
    command, revision, *evaluations, destination = sys.argv[1:]
    cells, machine = [], None
    for evaluation in evaluations:
        noise, path = evaluation.split("=", 1)
        with open(path) as file:
            results = json.load(file)
        machine = results["machine"]
        for cell in results["cells"]:
            settings = cell["settings"]
            if cell.get("failure"):
                sys.exit(f"speed.py: {settings['method']} failed on {settings['clip']}, {settings['task']}: {cell['failure']}")
            cells.append(
                {
                    "task": settings["task"],
                    "noise": float(noise),
                    "clip": settings["clip"],
                    "frames": [settings["frames"], settings["height"], settings["width"]],
                    "speed": settings["method"],
                    "seconds": round(cell["seconds"], 2),
                    **{name: round(score["mean"], 4) for name, score in cell["scores"].items()},
                }
            )
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    record = {"command": command, "revision": revision, "date": date, "machine": machine, "cells": cells}
    with open(destination + ".json", "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")

    def mean(metric: str, speed: str, **wanted: object) -> float:
        values = [c[metric] for c in cells if c["speed"] == speed and all(c[k] == v for k, v in wanted.items())]
        return sum(values) / len(values)

    clips = sorted({f"{c['clip']} ({c['frames'][0]} frames of {c['frames'][2]}x{c['frames'][1]})" for c in cells})
    lines = [
        "# Speeds",
        "",
        f"Made by `{command}`, {date}, revision {revision}.",
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['engine']}.",
        f"Clips: {', '.join(clips)}; 8 bits. Each number is the mean of the clips: PSNR in dB, LPIPS, seconds a clip.",
        "",
        "| task | noise | " + " | ".join(SPEEDS) + " |",
        "|---|---|" + "---|" * len(SPEEDS),
    ]
    rows = list(dict.fromkeys((c["task"], c["noise"]) for c in cells))

    def text(speed: str, **wanted: object) -> str:
        return f"{mean('psnr', speed, **wanted):.2f} / {mean('lpips', speed, **wanted):.3f}, {mean('seconds', speed, **wanted):.1f} s"

    for task, noise in sorted(rows, key=lambda row: row[1]):
        lines.append(f"| `{task}` | {noise:g} | " + " | ".join(text(s, task=task, noise=noise) for s in SPEEDS) + " |")
    lines.append("| mean | | " + " | ".join(text(s) for s in SPEEDS) + " |")
    losses = {s: [mean("psnr", "best", task=t, noise=n) - mean("psnr", s, task=t, noise=n) for t, n in rows] for s in SPEEDS[1:]}
    lines += [""] + [
        f"`{s}` is {sum(l) / len(l):.2f} dB below `best` on average, {max(l):.2f} dB at most." for s, l in losses.items()
    ]
    with open(destination + ".md", "w") as file:
        file.write("\n".join(lines) + "\n")
    print("\n".join(lines))


main()
