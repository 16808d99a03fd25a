#!/usr/bin/env bash
# Peak memory and time of long videos: 100 frames against 1000, as one scene and as scenes of 50 frames.
# Benchmarks/long.sh [FOLDER]: 640x360, one timestep, windows of 8; a table in Markdown.
set -euo pipefail
program="$(dirname "$0")/../.build/release/visionxl"
folder="${1:-$(mktemp -d)}"
mkdir -p "$folder"
echo "| scenes | frames | windows | peak memory | time |"
echo "|---|---|---|---|---|"
for scenes in off list; do
    for frames in 100 1000; do
        film="$folder/film-$frames.mkv"
        [ -f "$film" ] || ffmpeg -v error -nostdin -f lavfi -i "testsrc2=size=640x360:rate=25" -frames:v "$frames" \
            -c:v ffv1 -pix_fmt bgr0 "$film"
        choice=off
        if [ "$scenes" = list ]; then
            choice="$folder/scenes-$frames.txt"
            seq 0 50 "$((frames - 1))" > "$choice"
        fi
        "$program" restore "$film" -o "$folder/out.mp4" --blur-sigma 1 --noise 0.01 --timesteps 1 --window 8 \
            --scenes "$choice" --json "$folder/log.json" --force --restart 2> "$folder/log.txt"
        python3 - "$folder/log.json" "$scenes" "$frames" <<'PYTHON'
import json, sys
log = json.load(open(sys.argv[1]))
count = len(log["scenes"])
print(f"| {count} | {sys.argv[3]} | {len(log['residuals'])} | {log['peakMemoryBytes'] / 1e6:.0f} MB | {log['seconds']:.0f} s |")
PYTHON
    done
done
