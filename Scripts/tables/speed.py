"""Makes a table and a file of numbers of evaluations with --ablation speed.

usage: speed.py COMMAND REVISION NOISE=RESULTS... DESTINATION
"""

import sys

import evaluations

SPEEDS = ["best", "balanced", "fast"]


def main() -> None:
    command, revision, *results, destination = sys.argv[1:]
    cells, machine = [], {}
    for result in results:
        noise, path = result.split("=", 1)
        found, machine = evaluations.cells(path, noise=float(noise))
        cells += found

    def mean(metric: str, speed: str, **wanted: object) -> float:
        return evaluations.mean(cells, metric, method=speed, **wanted)

    def text(speed: str, **wanted: object) -> str:
        return f"{mean('psnr', speed, **wanted):.2f} / {mean('lpips', speed, **wanted):.3f}, {mean('seconds', speed, **wanted):.1f} s"

    lines = [
        "8 bits. Each number is the mean of the clips: PSNR in dB / LPIPS, seconds a clip.",
        "",
        "| task | noise | " + " | ".join(SPEEDS) + " |",
        "|---|---|" + "---|" * len(SPEEDS),
    ]
    rows = list(dict.fromkeys((c["task"], c["noise"]) for c in cells))
    for task, noise in sorted(rows, key=lambda row: row[1]):
        lines.append(f"| `{task}` | {noise:g} | " + " | ".join(text(s, task=task, noise=noise) for s in SPEEDS) + " |")
    lines.append("| mean | | " + " | ".join(text(s) for s in SPEEDS) + " |")
    losses = {s: [mean("psnr", "best", task=t, noise=n) - mean("psnr", s, task=t, noise=n) for t, n in rows] for s in SPEEDS[1:]}
    lines += [""] + [
        f"`{s}` is {sum(l) / len(l):.2f} dB below `best` on average, {max(l):.2f} dB at most." for s, l in losses.items()
    ]
    evaluations.write(destination, command, revision, machine, cells, "Speeds", lines)


main()
