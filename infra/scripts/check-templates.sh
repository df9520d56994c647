#!/bin/sh
# Builds and lints every template with Microsoft's compiler, by the rules of bicepconfig.json, and compares its format.
# Needs `bicep` on PATH, or `az bicep install`.
set -eu
cd "$(dirname "$0")/.."
if command -v bicep >/dev/null 2>&1; then
  run() { bicep "$@"; }
elif command -v az >/dev/null 2>&1; then
  run() { az bicep "$@"; }
  az bicep install --only-show-errors
else
  echo "There is neither bicep nor az on PATH. Install bicep: https://aka.ms/bicep-install" >&2
  exit 2
fi
at() { if command -v bicep >/dev/null 2>&1; then printf '%s\n' "$1"; else printf '%s\n' "--file=$1"; fi; }
wrong=0
for file in $(find . -name '*.bicep' | sort); do
  said=$(run build "$(at "$file")" --stdout 2>&1 >/dev/null) || wrong=1
  if [ -n "$said" ]; then
    echo "$said" >&2
    wrong=1
  fi
  if ! run format "$(at "$file")" --stdout | cmp -s - "$file"; then
    echo "$file is not formatted: run bicep format." >&2
    wrong=1
  fi
done
run build-params "$(at main.bicepparam)" --stdout >/dev/null || wrong=1
exit "$wrong"
