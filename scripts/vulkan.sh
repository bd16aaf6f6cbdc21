#!/usr/bin/env sh
# Software Vulkan, on which the tests draw omni.ui without a GPU. Installs it where this may install packages (root with
# apt); elsewhere says what to ask for, and the tests skip what they cannot draw.
set -eu
if ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1' && ls /usr/share/vulkan/icd.d/lvp_icd*.json >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libvulkan1 mesa-vulkan-drivers >/dev/null && exit 0
fi
echo "omni.ui cannot be drawn: no software Vulkan (Debian/Ubuntu: apt install libvulkan1 mesa-vulkan-drivers)" >&2
