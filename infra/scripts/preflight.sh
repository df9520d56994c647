#!/bin/sh
# Looks for what would stop the deployment. azd runs it before it creates resources. It can be run at any time.
set -eu
here=$(dirname "$0")
for python in python3 python; do
  if command -v "$python" >/dev/null 2>&1; then
    exec "$python" "$here/preflight.py" "$@"
  fi
done
echo "This needs Python 3.9 or newer, but there is no Python on PATH." >&2
exit 1
