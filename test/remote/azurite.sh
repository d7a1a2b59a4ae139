#!/bin/sh
# Puts Azurite, Microsoft's emulator of Azure's storage, into bin/, from the npm registry's packages as they were on a day,
# whose checksums together have the one that stands here, and prints the path of its blob service. Versions from 3.36 on
# need a newer node than Debian and Ubuntu have.
set -eu
cd "$(dirname "$0")/../.."
version=3.35.0
day=2026-11-01
sum=6a43eeca06604ccf2c250dfce565730edbe679a889266d9c64caed99763607dd
dir=bin/azurite-$version
main=node_modules/azurite/dist/src/blob/main.js
if [ ! -s "$dir/$main" ]; then
  rm -rf "$dir.new" "$dir"
  mkdir -p "$dir.new"
  quiet="--ignore-scripts --no-audit --no-fund --loglevel=error --prefix $dir.new"
  npm install $quiet --package-lock-only --before="$day" "azurite@$version" >&2
  grep '"integrity"' "$dir.new/package-lock.json" | LC_ALL=C sort >"$dir.new/sums"
  echo "$sum  $dir.new/sums" | sha256sum -c - >/dev/null
  npm ci $quiet >&2
  mv "$dir.new" "$dir"
fi
echo "$PWD/$dir/$main"
