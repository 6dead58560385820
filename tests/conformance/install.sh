#!/usr/bin/env bash
# Installs the MCP conformance suite and a client of package.json into .var/conformance (once). Quick when nothing
# changed. It brings its own Node.js, which must be newer than most systems'. Called by `make test-conformance`.
set -euo pipefail
cd "$(dirname "$0")/../.."
there=.var/conformance
wanted=$(cksum <tests/conformance/package.json)
[ "$(cat "$there/installed" 2>/dev/null)" = "$wanted" ] && exit 0
command -v npm >/dev/null || { echo "✗ npm is missing. Install Node.js and run the command again." >&2; exit 1; }

echo "▸ Installing the MCP conformance suite into $there" >&2
mkdir -p "$there"
cp tests/conformance/package.json "$there/"
(cd "$there" && npm install --no-audit --no-fund --save-exact --loglevel=error >&2)
echo "$wanted" >"$there/installed"
