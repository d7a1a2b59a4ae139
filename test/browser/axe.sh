#!/bin/sh
# Puts axe-core, which looks at a page for what keeps people out of it, into bin/, from the npm registry's package whose
# version and checksum stand here, and prints its path.
set -eu
cd "$(dirname "$0")/../.."
version=4.14.1
sum=e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745
dir=bin/axe-core-$version
if [ ! -s "$dir/axe.min.js" ]; then
  rm -rf "$dir.new"
  mkdir -p "$dir.new"
  curl -sSfLo "$dir.new/axe.tgz" "https://registry.npmjs.org/axe-core/-/axe-core-$version.tgz"
  echo "$sum  $dir.new/axe.tgz" | sha256sum -c - >/dev/null
  tar -xzf "$dir.new/axe.tgz" -C "$dir.new" --strip-components 1 package/axe.min.js
  rm -rf "$dir.new/axe.tgz" "$dir"
  mv "$dir.new" "$dir"
fi
echo "$PWD/$dir/axe.min.js"
