#!/usr/bin/env bash
# Degrades frames of a film, restores them, and says how far both lie from the truth, and what total variation makes of them. All of it goes
# to demo-out. These may be set: VISIONXL (the program), CLIP (another film), FRAMES, TASKS and DEMO_OPTIONS (for restore).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

visionxl="${VISIONXL:-.build/release/visionxl}"
out=demo-out
frames="${FRAMES:-16}"
bits=8
read -ra tasks <<<"${TASKS:-deblur+ inpaint+ sr4}"
# The default film's second view of a bicycle: a street that stands still and a man who walks through it.
clip="${CLIP:-.deps/clips/bikes.mp4}"
first=0
if [ -z "${CLIP:-}" ]; then first=188; fi

if ! [ -x "$visionxl" ]; then
    echo "demo: $visionxl is not there; run make build first, or make demo, which does." >&2
    exit 1
fi
mkdir -p "$out"
encode() { ffmpeg -nostdin -v error -y "$@"; }
# compared TRUTH OTHER: "31.22 dB | 0.8511".
compared() {
    "$visionxl" compare --quiet "$@" | sed -n 's/^mean.*PSNR \([0-9.]* dB\).*SSIM \([0-9.]*\).*/\1 | \2/p'
}

# The truth, at a size that all operators divide.
encode -i "$clip" -frames:v "$frames" \
    -vf "trim=start_frame=$first,setpts=PTS-STARTPTS,crop=floor(iw/16)*16:floor(ih/16)*16" \
    -an -c:v ffv1 -pix_fmt bgr0 "$out/truth.mkv"

table=()
rows=()
for task in "${tasks[@]}"; do
    measured="$out/$task-measured.mkv" restored="$out/$task-restored.mkv" tv="$out/$task-admm-tv.mkv"
    echo "demo: $task: degrading, and storing $bits bits."
    "$visionxl" degrade "$out/truth.mkv" -o "$measured" --task "$task" --bits "$bits" --force
    echo "demo: $task: restoring."
    SECONDS=0
    # shellcheck disable=SC2086 # several options in one variable
    "$visionxl" restore "$measured" -o "$restored" --force ${DEMO_OPTIONS:-}
    seconds=$SECONDS
    echo "demo: $task: the same by total variation (ADMM-TV), to compare with: it takes longer."
    rm -rf "$out/evaluation"
    "$visionxl" evaluate "$out/truth.mkv" -o "$out/evaluation" --tasks "$task" --measurement "${bits}bit" --methods admm-tv \
        --metrics psnr --size original --frames "$frames" --keep-frames >/dev/null
    mv "$(find "$out/evaluation" -name frames.mkv)" "$tv"
    # What every player makes of the measurement: enlarged where it is small.
    size="$(ffprobe -v error -select_streams v -show_entries stream=width,height -of csv=p=0:s=x "$out/truth.mkv")"
    encode -i "$measured" -vf "scale=${size/x/:}:flags=bicubic" -an -c:v ffv1 -pix_fmt bgr0 "$out/$task-seen.mkv"
    table+=("| $task | $(compared "$out/truth.mkv" "$out/$task-seen.mkv") | $(compared "$out/truth.mkv" "$tv") | $(compared "$out/truth.mkv" "$restored") | $seconds s |")
    rows+=("$out/$task-seen.mkv" "$tv" "$restored" "$out/truth.mkv")
done
rm -rf "$out/evaluation"

# One picture: a row for each task; measured, ADMM-TV, restored, truth. A detail of the default film, the middle of another.
middle=$((frames / 2))
detail="crop=200:130:(iw-200)/2:(ih-130)/2"
if [ -z "${CLIP:-}" ]; then detail="crop=200:130:316:56"; fi
inputs=() filter="" stacked=""
for index in "${!rows[@]}"; do
    inputs+=(-i "${rows[$index]}")
    filter+="[$index]select=eq(n\\,$middle),$detail,scale=2*iw:2*ih:flags=neighbor,pad=iw+8:ih+8:4:4:white[p$index];"
done
for row in "${!tasks[@]}"; do
    filter+="[p$((4 * row))][p$((4 * row + 1))][p$((4 * row + 2))][p$((4 * row + 3))]hstack=4[r$row];"
    stacked+="[r$row]"
done
if [ "${#tasks[@]}" -gt 1 ]; then filter+="${stacked}vstack=${#tasks[@]}[all]"; else filter+="[r0]null[all]"; fi
encode "${inputs[@]}" -filter_complex "$filter" -map "[all]" -frames:v 1 "$out/demo.png"

echo
echo "$frames frames, $bits bits, PSNR and SSIM against the truth:"
echo
echo "| task | measured | | ADMM-TV | | restored | | time |"
echo "|---|---|---|---|---|---|---|---|"
printf '%s\n' "${table[@]}"
echo
echo "$out/demo.png has a row for each task: measured, ADMM-TV, restored, truth. The films lie beside it."
