#!/bin/sh
# Makes a Python with what docs/notebook.md uses in bin/, from PyPI's wheels whose versions and checksums requirements.txt
# fixes, and prints its path.
set -eu
cd "$(dirname "$0")/../.."
dir=bin/notebook-$(cksum <test/notebook/requirements.txt | cut -d' ' -f1)
if [ ! -x "$dir/bin/python" ]; then
  rm -rf bin/notebook-*
  python3 -m venv "$dir.new" >&2
  "$dir.new/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check --only-binary :all: --require-hashes \
    -r test/notebook/requirements.txt >&2
  mv "$dir.new" "$dir"
fi
echo "$PWD/$dir/bin/python"
