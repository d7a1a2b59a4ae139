#!/bin/sh
# Licenses of every module that is linked into a released binary, for the archives and packages: one folder a module, with
# the files that its authors ship. A module without one fails the release.
#
#	sh tools/licenses.sh bin/licenses
set -eu
out=${1:?folder to write}
list=$(mktemp)
trap 'rm -f "$list"' EXIT
for target in linux/amd64 linux/arm64 darwin/arm64 windows/amd64; do
  CGO_ENABLED=0 GOOS=${target%/*} GOARCH=${target#*/} go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}} {{.Dir}}{{end}}{{end}}' \
    ./cmd/splitbench ./cmd/splitbench-agent >>"$list"
done
rm -rf "$out"
sort -u "$list" | while read -r module dir; do
  [ -n "$dir" ] || { echo "licenses: $module: not in the module cache: run go mod download" >&2; exit 1; }
  found=$(find "$dir" -maxdepth 1 -type f \( -iname 'LICEN[CS]E*' -o -iname 'COPYING*' -o -iname 'NOTICE*' -o -iname 'PATENTS*' -o -iname 'UNLICENSE*' \))
  [ -n "$found" ] || { echo "licenses: $module: no license file in $dir" >&2; exit 1; }
  mkdir -p "$out/$module"
  echo "$found" | while read -r f; do cp "$f" "$out/$module/"; done
done
mkdir -p "$out/go"
cp "$(go env GOROOT)/LICENSE" "$out/go/"
chmod -R u+w,go+r "$out"
echo "$out: licenses of $(sort -u "$list" | wc -l) modules and of Go"
