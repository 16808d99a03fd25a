#!/usr/bin/env bash
# Measures on a machine with an NVIDIA GPU that has neither Swift nor a network, only a python3 with torch.
#   Scripts/gpu.sh pack          here: builds programs that run anywhere, and fetches diffusers; all of it to .gpu
#   Scripts/gpu.sh run [ARGS]    there, in a copy of the checkout with .gpu: everything in one call, results in $OUT (gpu-out).
# ARGS are for visionxl-bench (`--size 768x1280`: less time). PYTHON: the python3 with torch; DEVICE: cuda.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python="${PYTHON:-python3}"
say() { printf 'gpu: %s\n' "$*" >&2; }

pack() {
    for product in visionxl visionxl-bench; do
        swift build -c release --static-swift-stdlib --scratch-path .build/portable --product "$product"
    done
    rm -rf .gpu
    mkdir -p .gpu/programs .gpu/wheels
    cp .build/portable/release/visionxl .build/portable/release/visionxl-bench .gpu/programs/
    strip .gpu/programs/*
    # Foundation's tables are most of them, and pack to a fifth.
    tar -C .gpu -cJf .gpu/programs.tar.xz programs
    rm -r .gpu/programs
    "$python" -m pip download -q --no-deps --only-binary=:all: -d .gpu/wheels diffusers importlib_metadata
    git describe --always --dirty >.gpu/revision
    say ".gpu has $(du -sh .gpu | cut -f1): take the checkout and it to the GPU, and call Scripts/gpu.sh run there."
}

run() {
    out="${OUT:-gpu-out}"
    mkdir -p "$out"
    if ! [ -f .gpu/programs.tar.xz ]; then say "there is no .gpu; call Scripts/gpu.sh pack where Swift is, first."; exit 1; fi
    VISIONXL_LIBTORCH="$("$python" -c 'import os, torch; print(os.path.dirname(torch.__file__))')"
    export VISIONXL_LIBTORCH VISIONXL_PYTHON="$python"
    place="$(mktemp -d)"
    trap 'rm -rf "$place"' EXIT
    tar -C "$place" -xJf .gpu/programs.tar.xz
    programs="$place/programs"
    "$python" -m pip install -q --no-index --no-deps --no-compile --target "$place/site" .gpu/wheels/*.whl
    export PYTHONPATH="$place/site${PYTHONPATH:+:$PYTHONPATH}"
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader | tee "$out/gpu.txt"
    "$programs/visionxl" doctor 2>&1 | tee "$out/doctor.txt"
    # The networks and operators first, which take seconds; then whole videos, whose length may end a call.
    bench() { "$programs/visionxl-bench" --device "${DEVICE:-cuda}" --revision "$(cat .gpu/revision)" "$@"; }
    bench --only networks --only operators --full --json "$out/small.json" | tee "$out/small.md"
    bench --only sdxl --runs 2 --json "$out/sdxl.json" "$@" | tee "$out/sdxl.md"
}

case "${1:-}" in
pack) pack ;;
run)
    shift
    run "$@"
    ;;
*)
    sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
