#!/usr/bin/env bash
# contact-sheet.sh SHEET.png: the real clips of the test corpus through the real pipeline, and one frame of each
# output as a player shows it, upright and in square pixels, with the clip's name below; to be looked at by eye.
# Clips that are refused have no output, and are not on it.
set -euo pipefail

sheet="$(realpath -m "${1:?usage: contact-sheet.sh SHEET.png}")"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir "$work/outputs" "$work/cells"

# without the made files only the real ones are there; with CI set that would be a failure
env -u CI BOREALIS_KEEP_OUTPUTS="$work/outputs" BOREALIS_MADE_MEDIA="$work/none" \
    cargo test --package borealis-media --test corpus

run() { ffmpeg -nostdin -y -v error "$@"; }
columns=7
cells=0
for output in "$work"/outputs/*.mp4; do
    [ -f "$output" ] || { echo 'no outputs: is BOREALIS_TEST_MEDIA the corpus?' >&2; exit 1; }
    name="$(basename "$output" .mp4)"
    cells=$((cells + 1))
    cell="$(printf '%s/cells/%03d.png' "$work" "$cells")"
    printf '%s' "$name" >"$work/name"
    label="drawtext=textfile=$work/name:expansion=none:fontsize=11:fontcolor=white:x=4:y=h-15"
    if [ -n "$(ffprobe -v error -select_streams v -show_entries stream=index -of csv=p=0 "$output")" ]; then
        # the most usual of the first frames, which is seldom a black one
        fit='scale=w=iw*sar:h=ih,setsar=1,scale=w=280:h=200:force_original_aspect_ratio=decrease:flags=area'
        pad='pad=w=284:h=222:x=(ow-iw)/2:y=(200-ih)/2:color=0x404040'
        run -i "$output" -vf "thumbnail=50,$fit,format=rgb24,$pad,$label" -frames:v 1 "$cell"
    else
        run -f lavfi -i color=0x404040:s=284x222 -vf "drawtext=text='sound only':fontcolor=white:x=100:y=95,$label" \
            -frames:v 1 "$cell"
    fi
done
rows=$(((cells + columns - 1) / columns))
run -framerate 1 -i "$work/cells/%03d.png" -vf "tile=${columns}x$rows" -frames:v 1 "$sheet"
echo "$cells outputs on $sheet"
