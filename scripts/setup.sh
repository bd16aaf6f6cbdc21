#!/bin/sh
# Build the environment: scripts/setup.sh VENV. Uses $PYTHON (default python3) and Debian/Ubuntu packages where needed.
# LOCKED=1 installs the releases of requirements.lock, each file checked against its hash (Python 3.11), and no others.
set -eu
venv=$1
python=${PYTHON:-python3}
here=$(dirname "$0")

command -v "$python" >/dev/null || { echo "setup: $python not found; install Python 3.11 or newer" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "setup: $("$python" --version) is too old; need Python 3.11 or newer (PYTHON=python3.11 make setup)" >&2
    exit 1
}
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq && apt-get install -y -qq python3-venv
    else
        echo "setup: Python has no venv module; run: sudo apt-get install python3-venv" >&2
        exit 1
    fi
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
install() { "$venv/bin/python" -m pip install --quiet --no-compile "$@"; } # pip would compile on one core alone
[ -n "${LOCKED:-}" ] || install --upgrade pip
# torch first and alone: a resolver that sees its pin late may fetch another build of several gigabytes
install --constraint "$here/../constraints.txt" torch
if [ -n "${LOCKED:-}" ]; then
    install --no-deps --require-hashes --requirement "$here/../requirements.lock"
    install --no-deps --no-build-isolation --editable "$here/.."
else
    install --constraint "$here/../constraints.txt" --editable "$here/..[train,studio,dev,export,ray,quality,physics,moon,film]"
fi
# readers of exported data the tests use: apart, for torchvision does not go with a CPU build of torch
[ -d "$venv/readers/mlcroissant-1.1.1.dist-info" ] || install --no-deps --require-hashes --upgrade \
    --target "$venv/readers" --requirement "$here/readers.lock"
"$venv/bin/python" -m compileall -qq -j 0 "$venv" || true & # some packages hold files of another Python's syntax
sh "$here/llvm.sh" "$venv"
sh "$here/chromium.sh" "$venv"
wait
