"""What scripts that make tables of evaluations have in common."""

import datetime
import json
import sys


def cells(path: str, **more: object) -> tuple[list[dict], dict]:
    """The cells of an evaluation's results.json, and its machine. Stops the script where a cell failed."""
    with open(path) as file:
        results = json.load(file)
    found = []
    for cell in results["cells"]:
        settings = cell["settings"]
        if cell.get("failure"):
            sys.exit(f"{path}: {settings['method']} failed on {settings['clip']}, {settings['task']}: {cell['failure']}")
        found.append(
            {
                "clip": settings["clip"],
                "task": settings["task"],
                "measurement": settings["storage"],
                "method": settings["method"],
                "frames": [settings["frames"], settings["height"], settings["width"]],
                "seconds": round(cell["seconds"], 2),
                **more,
                **{name: round(score["mean"], 4) for name, score in cell["scores"].items()},
            }
        )
    return found, results["machine"]


def mean(cells: list[dict], metric: str, **wanted: object) -> float:
    values = [c[metric] for c in cells if all(c[k] == v for k, v in wanted.items())]
    return sum(values) / len(values)


def write(destination: str, command: str, revision: str, machine: dict, cells: list[dict], title: str, lines: list[str]) -> None:
    """DESTINATION.json with every number, and DESTINATION.md with the lines below how they were made."""
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    record = {"command": command, "revision": revision, "date": date, "machine": machine, "cells": cells}
    with open(destination + ".json", "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")
    sizes: dict[str, list[str]] = {}
    for c in cells:
        size = f"{c['frames'][0]} frames of {c['frames'][2]}x{c['frames'][1]}"
        if size not in sizes.setdefault(c["clip"], []):
            sizes[c["clip"]].append(size)
    head = [
        f"# {title}",
        "",
        f"Made by `{command}`, {date}, revision {revision}.",
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['engine']}.",
        *(f"Clip: {clip}, {' and '.join(sizes[clip])}." for clip in sorted(sizes)),
    ]
    text = "\n".join(head + lines) + "\n"
    with open(destination + ".md", "w") as file:
        file.write(text)
    print(text, end="")
