#!/usr/bin/env bash
# Installs the CLIs of package.json into .var/executors (1.4 GB, once). Quick when nothing changed.
# Called by `make test-executors`.
set -euo pipefail
cd "$(dirname "$0")/../.."
there=.var/executors
wanted=$(cksum <tests/executors/package.json)
[ "$(cat "$there/installed" 2>/dev/null)" = "$wanted" ] && exit 0
command -v npm >/dev/null || { echo "✗ npm is missing. Install Node.js 20 or newer and run the command again." >&2; exit 1; }

echo "▸ Installing the CLIs into $there" >&2
mkdir -p "$there"
cp tests/executors/package.json "$there/"
# Scripts of packages don't run; the two CLIs that are programs of their own fetch nothing more, they are put in place.
(
    cd "$there"
    npm install --no-audit --no-fund --ignore-scripts --save-exact --loglevel=error >&2
    (cd node_modules/@anthropic-ai/claude-code && node install.cjs >&2)
    (cd node_modules/opencode-ai && node postinstall.mjs >&2)
)
echo "$wanted" >"$there/installed"
