#!/usr/bin/env bash
# The program with an autoencoder that loses detail, against the paper's algorithm (six tasks, three ways to store a measurement, two clips of 3
# frames of 256x160), and with each of the paper's parts put back alone (one of the clips, 8 bits). LOSSY_MODEL is what Benchmarks/lossy/train.py made; without it there is no table.
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

evaluate() {
    "$visionxl" evaluate "$work/street.mkv" "${@:2}" -o "$work/$1" --model "$model" --size original --frames 3 \
        --metrics psnr,ssim,lpips >/dev/null
}
evaluate methods "$work/bunny.mkv" --measurement float,8bit,h264:18 --methods visionxl,paper
# Of one clip: a dozen variants take their time.
evaluate parts --measurement 8bit --ablation parts
"${PYTHON:-python3}" Scripts/tables/lossy.py "LOSSY_MODEL=... make tables ONLY=lossy" "$(git describe --always --dirty 2>/dev/null)" \
    "$work/methods/results.json" "$work/parts/results.json" Benchmarks/tables/lossy
