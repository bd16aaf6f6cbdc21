#!/bin/sh
# Give the studio's tests a Chromium: scripts/chromium.sh VENV. Takes one the system has; else installs it where this may
# install packages (root with apt on Debian), else lets Playwright fetch one of its own. The studio itself needs none.
set -eu
venv=$1

works() { # does Playwright start one?
    "$venv/bin/python" - >/dev/null 2>&1 <<'EOF'
import shutil
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"]).close()
EOF
}

works && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq >/dev/null 2>&1 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null 2>&1 && works && exit 0
fi
"$venv/bin/playwright" install chromium >/dev/null 2>&1 && works && exit 0
echo "setup: no Chromium; the studio's tests need one (Debian: apt install chromium)" >&2
