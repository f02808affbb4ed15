#!/bin/sh
# How is a virtual environment made? deploy/setup.sh FOLDER pinned|newest [PYTHON]
#
# Takes the given Python, or the first on PATH that is new enough and can make virtual environments; installs the
# project there for development, with the versions that constraints.txt pins or the newest that pyproject.toml allows.
set -eu

folder=$1
versions=$2
python=${3:-}

will_do() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ -z "$python" ]; then
    for name in python3 python3.13 python3.12 python3.11 python; do
        if will_do "$name"; then
            python=$name
            break
        fi
    done
fi
if [ -z "$python" ] || ! will_do "$python"; then
    found=$("${python:-python3}" --version 2>/dev/null || echo "no ${python:-python3}")
    echo "spendgauge needs Python 3.11 or newer with its venv module, and this machine has $found:" \
        "install one (on Debian: apt-get install python3-venv), or name yours with make PYTHON=/path/to/python3." >&2
    exit 1
fi

case $versions in
    pinned) set -- --constraint constraints.txt ;;
    newest) set -- ;;
    *) echo "deploy/setup.sh: the second argument is pinned or newest, not '$versions'." >&2; exit 2 ;;
esac

echo "installing spendgauge into $folder with $("$python" --version) (a few minutes the first time) ..."
if [ -e "$folder/.installed" ] && [ "$(cat "$folder/.installed")" != "$PWD" ]; then
    rm -rf "$folder" # made at another place: its commands' first lines name that place
fi
"$python" -m venv "$folder"
pip() { "$folder/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
# The build backend goes in first, pinned too: an isolated build would fetch whatever is newest.
pip install "$@" hatchling
pip install "$@" --no-build-isolation --editable ".[local,dev]"
