#!/usr/bin/env bash
# Degrades 25 frames of a film, restores them, and says how far both lie from the truth. Everything goes to demo-out.
# VISIONXL (the program), CLIP (another film, at least 1280x704), TASK (sr4 ...) and DEMO_OPTIONS (for restore) may be set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

visionxl="${VISIONXL:-.build/release/visionxl}"
task="${TASK:-sr4}"
out=demo-out
# The default film has 24 distinct frames a second and 25 in all: frames 32 to 56 are a run without a repeated one.
clip="${CLIP:-.deps/clips/bigbuckbunny.mp4}"
first=0
if [ -z "${CLIP:-}" ]; then first=32; fi
width=640 height=352

if ! [ -x "$visionxl" ]; then
    echo "demo: $visionxl is not there; run make build first, or make demo, which does." >&2
    exit 1
fi
mkdir -p "$out"
encode() { ffmpeg -nostdin -v error -y "$@"; }
lossless=(-an -c:v ffv1 -pix_fmt bgr0)

# The truth: cropped, then halved by averaging, which takes most of the film's own compression away.
encode -i "$clip" -frames:v 25 \
    -vf "trim=start_frame=$first,setpts=PTS-STARTPTS,crop=$((2 * width)):$((2 * height)),scale=$width:$height:flags=area:in_color_matrix=bt709" \
    "${lossless[@]}" "$out/truth.mkv"

echo "demo: Degrading ($task)."
"$visionxl" degrade "$out/truth.mkv" -o "$out/measurement.mkv" --task "$task" --force

echo "demo: Restoring."
SECONDS=0
# shellcheck disable=SC2086 # several options in one variable
"$visionxl" restore "$out/measurement.mkv" -o "$out/restored.mkv" --force ${DEMO_OPTIONS:-}
seconds=$SECONDS

# What every player does with the measurement: the baseline.
encode -i "$out/measurement.mkv" -vf "scale=$width:$height:flags=bicubic" "${lossless[@]}" "$out/bicubic.mkv"

for extension in png mp4; do
    "$visionxl" compare "$out/bicubic.mkv" "$out/restored.mkv" --side-by-side "$out/bicubic-restored.$extension" --force >/dev/null
done

echo
echo "Bicubic against the truth:"
"$visionxl" compare --quiet "$out/truth.mkv" "$out/bicubic.mkv"
echo "Restored against the truth ($seconds s for 25 frames of ${width}x$height):"
"$visionxl" compare --quiet "$out/truth.mkv" "$out/restored.mkv"
echo
echo "Bicubic and restored side by side: $out/bicubic-restored.png, $out/bicubic-restored.mp4"
if [ -z "${CLIP:-}" ]; then echo "Film: Big Buck Bunny, (c) 2008 Blender Foundation, www.bigbuckbunny.org, CC BY 3.0"; fi
