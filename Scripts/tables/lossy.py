"""Makes a table and a file of numbers of two evaluations with a model whose autoencoder loses detail.

usage: lossy.py COMMAND REVISION METHODS_RESULTS PARTS_RESULTS DESTINATION

The first has the program and the paper's algorithm for each way to store a measurement, the second --ablation parts.
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
    command, revision, methods_path, parts_path, destination = sys.argv[1:]
    (methods, machine), (parts, _) = cells(methods_path), cells(parts_path)
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    record = {"command": command, "revision": revision, "date": date, "machine": machine, "methods": methods, "parts": parts}
    with open(destination + ".json", "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")

    clips = sorted({f"{c['clip']} ({c['frames'][0]} frames of {c['frames'][2]}x{c['frames'][1]})" for c in methods})
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

    def find(list_: list[dict], **wanted: object) -> dict:
        return next(c for c in list_ if all(c[k] == v for k, v in wanted.items()))

    def text(cell: dict) -> str:
        return f"{cell['psnr']:.2f} / {cell['lpips']:.3f}"

    gains = []
    for ours in (c for c in methods if c["method"] == "visionxl"):
        place = {k: ours[k] for k in ("clip", "task", "measurement")}
        paper = find(methods, method="paper", **place)
        gains.append(ours["psnr"] - paper["psnr"])
        stored = STORED.get(ours["measurement"], ours["measurement"])
        lines.append(f"| {ours['clip']} | `{ours['task']}` | {stored} | {text(paper)} | {text(ours)} | {gains[-1]:+.2f} |")
    lines += [
        "",
        f"The program is {sum(gains) / len(gains):.2f} dB above the paper's algorithm on average, {min(gains):+.2f} dB in the worst cell.",
        "",
        "## Each part of the paper's put back alone",
        "",
        f"8 bits, {', '.join(sorted({c['clip'] for c in parts}))}.",
        "",
    ]
    tasks = list(dict.fromkeys(c["task"] for c in parts))
    names = list(dict.fromkeys(c["method"] for c in parts))
    lines += ["| what differs | " + " | ".join(f"`{t}`" for t in tasks) + " | mean |", "|---|" + "---|" * (len(tasks) + 1)]

    def mean(metric: str, **wanted: object) -> float:
        values = [c[metric] for c in parts if all(c[k] == v for k, v in wanted.items())]
        return sum(values) / len(values)

    for name in names:
        columns = [f"{mean('psnr', method=name, task=t):.2f} / {mean('lpips', method=name, task=t):.3f}" for t in tasks]
        lines.append(f"| {name} | " + " | ".join(columns) + f" | {mean('psnr', method=name):.2f} / {mean('lpips', method=name):.3f} |")
    with open(destination + ".md", "w") as file:
        file.write("\n".join(lines) + "\n")
    print("\n".join(lines))


main()
