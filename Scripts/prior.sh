#!/usr/bin/env bash
# Trains a prior like Models/builtin, from photographs in Debian packages and from folders of your own: prior-out/model.
# ARGS: what Training/train_prior.py is to be told, such as "--minutes 240 --widths 96 128 192"; PICTURES: further folders of photographs and
# videos, separated by colons; CROPS: a file by Training/cut_crops.py in place of all pictures, for a machine that cannot fetch any;
# PYTHON: an interpreter that has what Training/requirements.txt asks for (else a virtual environment is made).
# Where a run was interrupted, the same command goes on from its last checkpoint.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'prior: %s\n' "$*"; }
fail() {
    printf 'prior: %s\n' "$*" >&2
    exit 1
}

list=Scripts/pictures.txt
pictures=.deps/pictures/debian
out=prior-out
[ ! -f "$out/finished" ] || fail "$out holds a finished prior; move it away to train another."

# --- Python ---

python="${PYTHON:-.deps/training/bin/python}"
if [ -z "${PYTHON:-}" ] && ! cmp -s Training/requirements.txt .deps/training/requirements.txt; then
    say "Installing what training needs into .deps/training (PyTorch among it; 6 GB)."
    python3 -m venv .deps/training || fail "Python's venv is missing; install it (apt-get install python3-venv) and run this again."
    "$python" -m pip install --quiet --timeout 60 -r Training/requirements.txt
    cp Training/requirements.txt .deps/training/
fi

# --- Pictures ---

wanted() { grep -v '^#' "$list"; }

fetch_pictures() {
    [ "$(wanted | wc -l)" = "$(find "$pictures" -type f 2>/dev/null | wc -l)" ] && return
    command -v dpkg-deb >/dev/null && command -v apt-get >/dev/null \
        || fail "Debian's packages cannot be fetched without apt-get; put the pictures that $list names into $pictures and run this again."
    say "Fetching pictures from Debian packages (160 MB)."
    mkdir -p .deps
    partial="$(mktemp -d .deps/.partial-XXXXXX)"
    trap 'rm -rf "$partial"' EXIT
    mkdir "$partial/packages" "$partial/pictures"
    packages="$(wanted | cut -d' ' -f1 | sort -u)"
    # shellcheck disable=SC2086 # one word for each package
    (cd "$partial/packages" && apt-get -qq download $packages) \
        || fail "apt-get could not fetch these packages; run apt-get update, or put the pictures that $list names into $pictures."
    for package in "$partial"/packages/*.deb; do dpkg-deb -x "$package" "$partial"; done
    while read -r _ path name; do
        cp "$partial/$path" "$partial/pictures/$name" || fail "This release's package has no $path; put such a picture at $pictures/$name and run this again."
    done < <(wanted)
    mkdir -p "$(dirname "$pictures")"
    rm -rf "$pictures"
    mv "$partial/pictures" "$pictures"
}

if [ -n "${CROPS:-}" ]; then
    [ -f "$CROPS" ] || fail "There is no file $CROPS, which CROPS names; Training/cut_crops.py makes one."
    data=(--cache "$CROPS")
else
    fetch_pictures
    folders=("$pictures")
    if [ -n "${PICTURES:-}" ]; then
        IFS=: read -r -a more <<<"$PICTURES"
        for folder in "${more[@]}"; do [ -d "$folder" ] || fail "There is no folder $folder, which PICTURES names."; done
        folders+=("${more[@]}")
    fi
    # The pictures, reduced once for all runs with the same files.
    cache=".deps/pictures/reduced-$(find "${folders[@]}" -type f -exec ls -l {} + | sort | cksum | cut -d' ' -f1).npz"
    data=(--data "${folders[@]}" --cache "$cache")
fi

# --- Training ---

mkdir -p "$out"
if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
    options=(--device cuda --minutes 22 --batch 64 --compile)
else
    options=(--device cpu --minutes 90 --batch 8 --warmup 100)
fi
resume=()
if [ -f "$out/checkpoint.pt" ]; then
    say "Going on from $out/checkpoint.pt; move $out away to begin anew."
    resume=(--resume)
fi
# shellcheck disable=SC2086 # several options in one variable
"$python" Training/train_prior.py "${data[@]}" --seed 0 "${options[@]}" ${ARGS:-} \
    ${resume[@]+"${resume[@]}"} --out "$out/model" --checkpoint "$out/checkpoint.pt" --log "$out/log.jsonl"
"$python" Training/make_reference.py --model "$out/model"
touch "$out/finished"
say "$out/model is there; try it with: .build/release/visionxl restore MEASUREMENT -o RESTORED --model $out/model"
say "For its figures: $python Training/evaluate_prior.py --model $out/model --pictures TEST_PICTURES"
