#!/bin/sh
# Makes sure that the given python3 is there and new enough to run the toolchain.
set -eu
python=${1:-python3}
if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    exit 0
fi

fail() {
    echo "error: cannot run the toolchain: $1; $2" >&2
    exit 1
}

if command -v "$python" >/dev/null 2>&1; then
    fail "$python is older than 3.11" "name a newer one: make PYTHON=python3.12 ..."
fi
command -v apt-get >/dev/null 2>&1 || fail "there is no $python" "install Python 3.11 or newer"
as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || fail "there is no $python, and no root or sudo to install it" \
        "run as root: apt-get install python3 python3-venv"
    as_root=sudo
fi
echo ".. python       apt-get install python3 python3-venv (there is no $python here)" >&2
$as_root apt-get -qq update
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
    python3 python3-venv >/dev/null
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Debian's python3 here is older than 3.11" "install a newer one: make PYTHON=..."
