#!/usr/bin/env bash
# What each --speed gives up and gains: six tasks, two noise levels, two clips of 9 frames.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

visionxl="${VISIONXL:-.build/release/visionxl}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cut() { ffmpeg -nostdin -v error -y -i "$1" -vf "trim=start_frame=$2,setpts=PTS-STARTPTS,$3" -frames:v 9 -an -c:v ffv1 -pix_fmt bgr0 "$work/$4.mkv"; }
cut .deps/clips/bikes.mp4 188 "crop=480:256:160:8" street
cut .deps/clips/bigbuckbunny.mp4 32 "crop=960:576,scale=480:288:flags=area" bunny

for noise in 0 0.05; do
    "$visionxl" evaluate "$work/street.mkv" "$work/bunny.mkv" -o "$work/$noise" --ablation speed --size original --frames 9 \
        --measurement 8bit --noise "$noise" --metrics psnr,ssim,lpips >/dev/null
done
"${PYTHON:-python3}" Scripts/tables/speed.py "make tables ONLY=speed" "$(git describe --always --dirty 2>/dev/null)" \
    "0=$work/0/results.json" "0.05=$work/0.05/results.json" Benchmarks/tables/speed
