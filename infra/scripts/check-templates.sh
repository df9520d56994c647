#!/bin/sh
# Builds and lints every template and the parameters with Microsoft's compiler, by the rules of bicepconfig.json, and
# compares their format.
# Needs `bicep` on PATH, or `az bicep install`.
set -eu
cd "$(dirname "$0")/.."
# `az bicep` itself will not do: it adds a line to what bicep prints, and tells of new releases among the warnings.
if command -v bicep >/dev/null 2>&1; then
  bicep=bicep
elif command -v az >/dev/null 2>&1; then
  az bicep install --only-show-errors
  bicep="${AZURE_CONFIG_DIR:-$HOME/.azure}/bin/bicep"
else
  echo "There is neither bicep nor az on PATH. Install bicep: https://aka.ms/bicep-install" >&2
  exit 2
fi
wrong=0
for file in $(find . -name '*.bicep*' | sort); do
  case "$file" in *.bicepparam) build='build-params' ;; *) build='build' ;; esac
  said=$("$bicep" "$build" "$file" --stdout 2>&1 >/dev/null) || wrong=1
  if [ -n "$said" ]; then
    echo "$said" >&2
    wrong=1
  fi
  if ! "$bicep" format "$file" --stdout | cmp -s - "$file"; then
    echo "$file is not formatted: run bicep format." >&2
    wrong=1
  fi
done
exit "$wrong"
