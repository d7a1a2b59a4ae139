#!/bin/sh
# Puts zizmor, which reads workflows for what an attacker could use, into bin/, from the wheel of PyPI's package whose version
# and checksums zizmor.txt fixes, and prints its path.
set -eu
cd "$(dirname "$0")/../.."
dir=bin/zizmor-1.32.0
if [ ! -x "$dir/zizmor" ]; then
  rm -rf "$dir.new"
  mkdir -p "$dir.new"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes -d "$dir.new" -r test/packaging/zizmor.txt >&2
  python3 -m zipfile -e "$dir.new"/*.whl "$dir.new/wheel"
  mv "$dir.new/wheel"/zizmor-*.data/scripts/zizmor "$dir.new/zizmor"
  chmod +x "$dir.new/zizmor"
  rm -rf "$dir.new/wheel" "$dir.new"/*.whl "$dir"
  mv "$dir.new" "$dir"
fi
echo "$PWD/$dir/zizmor"
