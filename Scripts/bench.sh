#!/usr/bin/env bash
# Measures speed and prints a Markdown table; Benchmarks/README.md explains it.
# VISIONXL_PYTHON: a Python with torch and diffusers to compare with. VISIONXL_GOLDEN: the folder of the golden tensors.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bench=.build/release/visionxl-bench
if ! [ -x "$bench" ] || ! [ -x .build/release/visionxl ]; then
    echo "bench: the program is not built; run make bench, which does that first." >&2
    exit 1
fi
revision="$(git describe --always --dirty 2>/dev/null || true)"
exec "$bench" "$@" ${revision:+--revision "$revision"}
