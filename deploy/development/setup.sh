#!/usr/bin/env bash
# Makes .venv with everything that Ropeway's demo, tests and checks need. Quick when nothing changed; safe to run again.
# Called by every target of the Makefile. PYTHON=/path/to/python chooses the interpreter for a new .venv.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { printf '\033[1m▸ %s\033[0m\n' "$*" >&2; }
die() { printf '✗ %s\n' "$*" >&2; exit 1; }

# What the result depends on: the declared packages, this script, and where the checkout lies (console scripts hold its path).
digest=$({ pwd; cat constraints.txt pyproject.toml local_daemon/pyproject.toml connector_agent/pyproject.toml \
    deploy/development/setup.sh; } | cksum)
stamp=.venv/.ropeway-setup
is_current() { [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ] && .venv/bin/python -c '' 2>/dev/null; }
is_current && exit 0

# Two terminals may both have asked; the second waits and finds the work done.
exec 9>.venv.lock
if command -v flock >/dev/null; then flock 9; fi
is_current && exit 0

# Packages of the system itself: fetched for root on Debian, named for everybody else.
system_package() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing the system package $1"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1"; } >&2 || die "apt-get could not install $1."
    else
        die "$2 is missing. Install it (on Debian or Ubuntu: sudo apt install $1) and run the command again."
    fi
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

command -v git >/dev/null || system_package git "git"
if ! .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    find_python >/dev/null || [ -n "${PYTHON:-}" ] || system_package python3 "Python 3.11 or newer"
    python=$(find_python) || die "No Python 3.11 or newer was found. Install one, or name it: make setup PYTHON=/path/to/python3"
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$python" -c 'import ensurepip, venv' 2>/dev/null || system_package "python$version-venv" "Python's venv module"
    say "Making .venv with Python $version"
    "$python" -m venv --clear .venv
fi

say "Installing packages into .venv (about 150 MB the first time)"
started=$SECONDS
pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input "$@" >&2; }
rm -f "$stamp"
# The build backend first: with it in place our three packages need no isolated build, which would fetch it once for each.
pip install --quiet --constraint constraints.txt hatchling
pip install --constraint constraints.txt --no-build-isolation -e ./local_daemon -e ./connector_agent -e '.[dev]'
echo "$digest" >"$stamp"
say "Ready after $((SECONDS - started)) s"
