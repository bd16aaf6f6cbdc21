#!/bin/sh
# Pin what VENV holds and the tests passed with, with the hashes of every file of each release: scripts/lock.sh VENV.
# Writes requirements.lock and scripts/readers.lock. torch and pip are left out: which build of torch fits is a matter of
# the machine, and constraints.txt has its version.
set -eu
venv=$1
here=$(dirname "$0")
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT

"$venv/bin/python" -m venv "$tools/env"
"$tools/env/bin/python" -m pip install --quiet uv
pin() { # pin LIST LOCK
    "$tools/env/bin/uv" pip compile --quiet --generate-hashes --no-deps --no-annotate --no-header "$1" >"$tools/lock"
    mv "$tools/lock" "$2"
}
"$venv/bin/python" -m pip freeze --all --exclude-editable | grep -vE '^(torch|pip)==' >"$tools/installed.txt"
pin "$tools/installed.txt" "$here/../requirements.lock"
pin "$here/readers.txt" "$here/readers.lock"
