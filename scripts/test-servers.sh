#!/usr/bin/env bash
# The object-store servers that only tests need, into target/test-servers: moto (S3) and, where npm
# is there, Azurite (Azure). Ends at once when they are there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

MOTO=5.2.5
AZURITE=3.35.0
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

# Its optional parts are databases and figures for Microsoft.
azurite() {
    npm install --silent --no-audit --no-fund --prefix "$1" "azurite@$AZURITE"
}

install_once "moto-$MOTO" moto
if command -v npm >/dev/null; then
    install_once "azurite-$AZURITE" azurite
fi
