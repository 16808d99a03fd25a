"""Makes tables and a file of numbers of --ablation parts with a model whose autoencoder loses detail.

usage: lossy.py COMMAND REVISION RESULTS DESTINATION
"""

import sys

import evaluations

STORED = {"float": "float", "8bit": "8 bits", "h264:18": "H.264 crf 18"}


def main() -> None:
    command, revision, path, destination = sys.argv[1:]
    cells, machine = evaluations.cells(path)
    tasks, names, stored = (list(dict.fromkeys(c[key] for c in cells)) for key in ("task", "method", "measurement"))

    def text(**wanted: object) -> str:
        return f"{evaluations.mean(cells, 'psnr', **wanted):.2f} / {evaluations.mean(cells, 'lpips', **wanted):.3f}"

    lines = [
        "PSNR in dB / LPIPS.",
        "",
        "## Against the paper's algorithm",
        "",
        "| clip | task | measurement | the paper | this program | gain |",
        "|---|---|---|---|---|---|",
    ]
    gains = []
    for ours in (c for c in cells if c["method"] == "this program"):
        place = {key: ours[key] for key in ("clip", "task", "measurement")}
        gains.append(ours["psnr"] - evaluations.mean(cells, "psnr", method="the paper", **place))
        lines.append(
            f"| {ours['clip']} | `{ours['task']}` | {STORED[ours['measurement']]} "
            f"| {text(method='the paper', **place)} | {text(method='this program', **place)} | {gains[-1]:+.2f} |"
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
            place = {"method": name, "measurement": storage}
            lines.append(f"| {name} | " + " | ".join(text(task=t, **place) for t in tasks) + f" | {text(**place)} |")
    evaluations.write(destination, command, revision, machine, cells, "With an autoencoder that loses detail", lines)


main()
