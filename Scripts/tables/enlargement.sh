#!/usr/bin/env bash
# Enlarged frames with and without the learned first estimate; KIND=coded: of coded files, against their bicubic enlargement (coded.sh). Nine frames
# each of the demo's bicycles, and of landscape_1280x768.mp4 and blocks_1280x720.mp4 where CLIPS names a folder that has them. It takes half an hour.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cut() { ffmpeg -nostdin -v error -y -i "$1" -vf "$2" -frames:v 9 -an -c:v ffv1 -pix_fmt bgr0 "$work/$3.mkv"; }
cut .deps/clips/bikes.mp4 "trim=start_frame=188,setpts=PTS-STARTPTS,crop=floor(iw/16)*16:floor(ih/16)*16" bicycles
clips=("$work/bicycles.mkv")
if [ -n "${CLIPS:-}" ]; then
    cut "$CLIPS/landscape_1280x768.mp4" "scale=640:384:flags=area" landscape
    cut "$CLIPS/blocks_1280x720.mp4" "scale=640:360:flags=area" blocks
    clips+=("$work/landscape.mkv" "$work/blocks.mkv")
fi
kind="${KIND:-exact}" name=enlargement
if [ "$kind" = coded ]; then name=coded; fi
"${PYTHON:-python3}" Scripts/tables/enlargement.py "$kind" "CLIPS=... make tables ONLY=$name" "$(git describe --always --dirty 2>/dev/null)" \
    "${VISIONXL:-.build/release/visionxl}" "$work" "Benchmarks/tables/$name" "${clips[@]}"
