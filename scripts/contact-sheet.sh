#!/usr/bin/env bash
# contact-sheet.sh SHEET.png: the real clips of the test corpus through the real pipeline, and one frame of each as a
# player shows it, upright and in square pixels: of the clip itself, of its MP4, and of its second format by way of
# the playlist or manifest; to be looked at by eye. Clips that are refused have no output, and are not on it.
# HDR clips are shown as if they were not: flat, beside outputs that are not.
set -euo pipefail

sheet="$(realpath -m "${1:?usage: contact-sheet.sh SHEET.png}")"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir "$work/outputs" "$work/cells"

# without the made files only the real ones are there; with CI set that would be a failure
env -u CI BOREALIS_KEEP_OUTPUTS="$work/outputs" BOREALIS_MADE_MEDIA="$work/none" \
    cargo test --package borealis-media --test corpus

run() { .tools/ffmpeg -nostdin -y -v error "$@"; }

# cell FILE LABEL SECONDS: the frame of it at that time, else the first one, else what there is instead
cell() {
    local file="$1" shown
    cells=$((cells + 1))
    shown="$(printf '%s/cells/%03d.png' "$work" "$cells")"
    printf '%s' "$2" >"$work/label"
    local label="drawtext=textfile=$work/label:expansion=none:fontsize=11:fontcolor=white:x=4:y=h-15"
    local fit='scale=w=iw*sar:h=ih,setsar=1,scale=w=280:h=200:force_original_aspect_ratio=decrease:flags=area'
    local pad='pad=w=284:h=222:x=(ow-iw)/2:y=(200-ih)/2:color=0x404040'
    local opened=()
    case "$file" in *.m3u8) opened=(-allowed_extensions ALL) ;; esac
    local at
    for at in "$3" 0; do
        if run "${opened[@]}" -i "$file" -map 0:V:0 -ss "$at" -vf "$fit,format=rgb24,$pad,$label" \
            -frames:v 1 "$shown" 2>"$work/errors" && [ -f "$shown" ]; then
            return
        fi
    done
    run -f lavfi -i color=0x404040:s=284x222 \
        -vf "drawtext=text='no picture':fontcolor=white:x=100:y=95,$label" -frames:v 1 "$shown"
}

cells=0
for clip in "$work"/outputs/*/; do
    [ -d "$clip" ] || { echo 'no outputs: is BOREALIS_TEST_MEDIA the corpus?' >&2; exit 1; }
    name="$(basename "$clip")"
    second="$(find "$clip" -mindepth 1 -maxdepth 1 -type d ! -name mp4)"
    # where something has begun, and what is shown is seldom black
    at="$(.tools/ffprobe -v error -show_entries format=duration -of csv=p=0 "$clip/mp4/main.mp4" | awk '{ print $1 * 0.6 }')"
    cell "$clip/source" "$name" "$at"
    cell "$clip/mp4/main.mp4" 'mp4' "$at"
    cell "$(find "$second" -maxdepth 1 -name 'main.*')" "$(basename "$second")" "$at"
done
run -framerate 1 -i "$work/cells/%03d.png" -vf "tile=6x$(((cells + 5) / 6))" -frames:v 1 "$sheet"
echo "$((cells / 3)) clips on $sheet"
