#!/bin/sh
# Fetch what the package needs, torch aside, for other Pythons: scripts/pythons.sh VENV VERSION… into VENV/pythons/VERSION.
# Takes each that is on the path, or that pyenv has; the tests of the wheel use them.
set -eu
venv=$1
shift
for version in "$@"; do
    python=
    for found in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python "python$version"; do
        if command -v "$found" >/dev/null && "$found" -m pip --version >/dev/null 2>&1; then
            python=$found
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "pythons: no Python $version with pip here" >&2
        continue
    fi
    mkdir -p "$venv/pythons"
    "$venv/bin/python" -c "
from regolith.lunar.machine import requirements
print(*requirements(), *requirements('studio'), sep='\n')" >"$venv/pythons/$version.txt"
    "$python" -m pip install --quiet --upgrade --target "$venv/pythons/$version" -r "$venv/pythons/$version.txt"
done
