#!/usr/bin/env bash
# The Debian packages that only tests need. Root gets them installed; others get the line to run.
# Before, the object-store servers, which need no root.
set -euo pipefail

"$(dirname "${BASH_SOURCE[0]}")/test-servers.sh"

missing=()
command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null || missing+=(ffmpeg) # makes the test media
command -v bwrap >/dev/null || missing+=(bubblewrap)                               # the sandbox
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)  # a cluster for the store's tests
command -v chromium >/dev/null || missing+=(chromium)                               # plays outputs, and so does
command -v firefox-esr >/dev/null || missing+=(firefox-esr)                         # this one, H.265 too
[ ${#missing[@]} -gt 0 ] || exit 0

install=(apt-get install -y --no-install-recommends "${missing[@]}")
if [ "$(id -u)" != 0 ]; then
    printf 'make test needs Debian packages that are not there. Run this, then again:\n    sudo %s\n' "${install[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
"${install[@]}"
