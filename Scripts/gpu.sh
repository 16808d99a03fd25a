#!/usr/bin/env bash
# Measures on a machine with an NVIDIA GPU that has neither Swift nor a network.
#   Scripts/gpu.sh pack          here: builds programs that run anywhere, and fetches diffusers; all of it to .gpu
#   Scripts/gpu.sh run [ARGS]    there, in a copy of the checkout with .gpu: everything in one call of 9 minutes, results in $OUT (gpu-out).
# What is measured is kept at once: a call that is cut off leaves NAME.rows.jsonl and log.txt. ARGS are for visionxl-bench, every time.
# PYTHON: a python3 with torch, for LibTorch and for diffusers; not needed where VISIONXL_LIBTORCH is set. LIMIT: seconds in all (540).
# DEVICE (cuda), SIZE (768x1280), FRAMES (25), MODEL (full): `DEVICE=cpu SIZE=64x64 FRAMES=2 MODEL=tiny Scripts/gpu.sh run` is a rehearsal.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python="${PYTHON:-python3}"
out=
say() { printf 'gpu: %s\n' "$*" | tee ${out:+-a "$out/log.txt"} >&2; }

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

# Runs a command for a number of seconds at most, and no longer than there are left. Its table goes to NAME.md, what it says to log.txt.
# step NAME SECONDS COMMAND...
step() {
    local name="$1" most="$2" left=$((limit - SECONDS)) began=$SECONDS status=0
    shift 2
    if [ "$left" -lt 20 ]; then
        say "$name: left out, there is no time left"
        return
    fi
    [ "$left" -lt "$most" ] && most=$left
    say "$name: begins after $SECONDS s, for $most s at most"
    timeout -k 10 "$most" "$@" > >(tee "$out/$name.md") 2> >(tee -a "$out/log.txt" >&2) || status=$?
    say "$name: took $((SECONDS - began)) s$([ "$status" = 0 ] || echo ", and ended with status $status")"
}

# bench NAME SECONDS ARGS...
bench() {
    local name="$1" most="$2"
    shift 2
    step "$name" "$most" "$programs/visionxl-bench" --device "$device" --revision "$revision" --sdxl "$model" \
        --rows "$out/$name.rows.jsonl" --json "$out/$name.json" "$@" "${arguments[@]}"
}

run() {
    arguments=("$@")
    limit="${LIMIT:-540}"
    device="${DEVICE:-cuda}"
    out="${OUT:-gpu-out}"
    mkdir -p "$out"
    : >"$out/log.txt"
    if ! [ -f .gpu/programs.tar.xz ]; then say "there is no .gpu; call Scripts/gpu.sh pack where Swift is, first."; exit 1; fi
    revision="$(cat .gpu/revision)"
    place="$(mktemp -d)"
    trap 'rm -rf "$place"' EXIT
    model="$place/sdxl-random"
    tar -C "$place" -xJf .gpu/programs.tar.xz
    programs="$place/programs"
    local torch
    if torch="$("$python" -c 'import os, torch; print(os.path.dirname(torch.__file__))' 2>/dev/null)"; then
        export VISIONXL_LIBTORCH="${VISIONXL_LIBTORCH:-$torch}" VISIONXL_PYTHON="$python"
        "$python" -m pip install -q --no-index --no-deps --no-compile --target "$place/site" .gpu/wheels/*.whl ||
            say "diffusers cannot be unpacked; it is not compared with."
        export PYTHONPATH="$place/site${PYTHONPATH:+:$PYTHONPATH}"
    elif [ -n "${VISIONXL_LIBTORCH:-}" ]; then
        say "$python has no torch: diffusers is not compared with."
        export VISIONXL_PYTHON=false
    else
        say "$python has no torch; name one that has with PYTHON, or a LibTorch with VISIONXL_LIBTORCH."
        exit 1
    fi
    if command -v nvidia-smi >/dev/null; then
        nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader | tee "$out/gpu.txt"
    fi
    local size=(--size "${SIZE:-768x1280}")
    step doctor 60 "$programs/visionxl" doctor
    step model 120 "$programs/visionxl" models random sdxl "$model" --seed 1 --size "${MODEL:-full}" --quiet
    # What matters most comes first; the other side's videos are the last that this measures.
    bench videos 260 --only videos --whole-videos --runs 1 --frames "${FRAMES:-25}" "${size[@]}"
    # Each of the GPU's ways to compute, on and off.
    bench kernels 150 --only kernels "${size[@]}"
    # The allocator's segments, on (as the program has it) and off.
    bench segments-on 60 --only passes "${size[@]}"
    PYTORCH_ALLOC_CONF=expandable_segments:False bench segments-off 60 --only passes "${size[@]}"
    local full=()
    [ "$device" = cpu ] || full=(--full)
    bench small 120 --only networks --only operators --runs 3 "${full[@]}"
    bench diffusers 120 --only sdxl --runs 2 "${size[@]}"
    say "took $SECONDS s in all; results are in $out"
}

case "${1:-}" in
pack) pack ;;
run)
    shift
    run "$@"
    ;;
*)
    sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
