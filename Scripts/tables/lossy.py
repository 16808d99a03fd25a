"""Makes tables and a file of numbers of --ablation parts with a model whose autoencoder loses detail.

usage: lossy.py COMMAND REVISION RESULTS DESTINATION
"""

import datetime
import json
import sys

STORED = {"float": "float", "8bit": "8 bits", "h264:18": "H.264 crf 18"}


def cells(path: str) -> tuple[list[dict], dict]:
    with open(path) as file:
        results = json.load(file)
    found = []
    for cell in results["cells"]:
        settings = cell["settings"]
        if cell.get("failure"):
            sys.exit(f"lossy.py: {settings['method']} failed on {settings['clip']}, {settings['task']}: {cell['failure']}")
        found.append(
            {
                "clip": settings["clip"],
                "task": settings["task"],
                "measurement": settings["storage"],
                "method": settings["method"],
                "frames": [settings["frames"], settings["height"], settings["width"]],
                "seconds": round(cell["seconds"], 2),
                **{name: round(score["mean"], 4) for name, score in cell["scores"].items()},
            }
        )
    return found, results["machine"]


def main() -> None:
    command, revision, path, destination = sys.argv[1:]
    found, machine = cells(path)
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    record = {"command": command, "revision": revision, "date": date, "machine": machine, "cells": found}
    with open(destination + ".json", "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")

    clips = sorted({f"{c['clip']} ({c['frames'][0]} frames of {c['frames'][2]}x{c['frames'][1]})" for c in found})
    lines = [
        "# With an autoencoder that loses detail",
        "",
        f"Made by `{command}`, {date}, revision {revision}.",
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['engine']}.",
        f"Clips: {', '.join(clips)}. PSNR in dB / LPIPS.",
        "",
        "## Against the paper's algorithm",
        "",
        "| clip | task | measurement | the paper | this program | gain |",
        "|---|---|---|---|---|---|",
    ]

    def some(**wanted: object) -> list[dict]:
        return [c for c in found if all(c[k] == v for k, v in wanted.items())]

    def mean(metric: str, **wanted: object) -> float:
        values = [c[metric] for c in some(**wanted)]
        return sum(values) / len(values)

    def text(cell: dict) -> str:
        return f"{cell['psnr']:.2f} / {cell['lpips']:.3f}"

    gains = []
    tasks, names, stored = (list(dict.fromkeys(c[key] for c in found)) for key in ("task", "method", "measurement"))
    for ours in some(method="this program"):
        (paper,) = some(method="the paper", **{k: ours[k] for k in ("clip", "task", "measurement")})
        gains.append(ours["psnr"] - paper["psnr"])
        lines.append(
            f"| {ours['clip']} | `{ours['task']}` | {STORED[ours['measurement']]} "
            f"| {text(paper)} | {text(ours)} | {gains[-1]:+.2f} |"
        )
    lines += [
        "",
        f"The program is {sum(gains) / len(gains):.2f} dB above the paper's algorithm on average, {min(gains):+.2f} dB in the worst cell.",
        "",
        "## Each part of the paper's put back alone",
        "",
        "The mean of both clips.",
    ]
    for storage in stored:
        lines += ["", f"### {STORED[storage]}", ""]
        lines += ["| what differs | " + " | ".join(f"`{t}`" for t in tasks) + " | mean |", "|---|" + "---|" * (len(tasks) + 1)]
        for name in names:
            places = [{"method": name, "measurement": storage, "task": t} for t in tasks] + [{"method": name, "measurement": storage}]
            columns = [f"{mean('psnr', **place):.2f} / {mean('lpips', **place):.3f}" for place in places]
            lines.append(f"| {name} | " + " | ".join(columns) + " |")
    with open(destination + ".md", "w") as file:
        file.write("\n".join(lines) + "\n")
    print("\n".join(lines))


main()
