#!/bin/sh
# Connects the events and tests the deployment. azd runs it after each deployment. It can be run again at any time, with
# the arguments of postdeploy.py: ./infra/scripts/postdeploy.sh prove
set -eu
here=$(dirname "$0")
for python in python3 python; do
  if command -v "$python" >/dev/null 2>&1; then
    exec "$python" "$here/postdeploy.py" "$@"
  fi
done
echo "This needs Python 3.9 or newer, but there is no Python on PATH." >&2
exit 1
