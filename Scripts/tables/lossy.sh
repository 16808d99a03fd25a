#!/usr/bin/env bash
# The program with an autoencoder that loses detail, against the paper's algorithm and with each of the paper's parts put back alone: six tasks,
# three ways to store a measurement, two clips of 3 frames of 256x160. LOSSY_MODEL is what Benchmarks/lossy/train.py made; without it there is no
# table. It takes an hour or two.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

model="${LOSSY_MODEL:-}"
if [ -z "$model" ]; then
    echo "tables: lossy needs LOSSY_MODEL, the folder that Benchmarks/lossy/train.py makes (Docs/LossyCodecs.md); left out" >&2
    exit 0
fi
visionxl="${VISIONXL:-.build/release/visionxl}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cut() {
    ffmpeg -nostdin -v error -y -i "$1" -vf "trim=start_frame=$2,setpts=PTS-STARTPTS,$3" -frames:v 3 -an \
        -c:v ffv1 -pix_fmt bgr0 "$work/$4.mkv"
}
cut .deps/clips/bikes.mp4 188 "crop=256:160:272:60" street
cut .deps/clips/bigbuckbunny.mp4 32 "crop=768:480,scale=256:160:flags=area" bunny

"$visionxl" evaluate "$work/street.mkv" "$work/bunny.mkv" --measurement float,8bit,h264:18 --ablation parts -o "$work/parts" \
    --model "$model" --size original --frames 3 --metrics psnr,ssim,lpips >/dev/null
"${PYTHON:-python3}" Scripts/tables/lossy.py "LOSSY_MODEL=... make tables ONLY=lossy" "$(git describe --always --dirty 2>/dev/null)" \
    "$work/parts/results.json" Benchmarks/tables/lossy
