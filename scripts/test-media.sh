#!/usr/bin/env bash
# Makes the synthetic files of the test corpus, once, into target/made-media. Without the corpus there is
# nothing to make, and its tests say how many files they skip.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

corpus="${BOREALIS_TEST_MEDIA:-../shared/media}"
[ -f "$corpus/make-media.sh" ] || exit 0
bash "$corpus/make-media.sh" target/made-media
