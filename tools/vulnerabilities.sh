#!/bin/sh
# Known vulnerabilities that the program can reach, by govulncheck. Without a way to its database it says that this was not
# checked, and asks the module proxy instead which of the modules in go.mod their authors have retracted or deprecated.
set -eu
report=$(mktemp)
trap 'rm -f "$report"' EXIT
code=0
bin/govulncheck ./cmd/... >"$report" 2>&1 || code=$?
if ! grep -q '^govulncheck: fetching vulnerabilities' "$report"; then
  cat "$report"
  exit "$code"
fi
tail -n 1 "$report" >&2
echo "vulnerabilities: NOT CHECKED, the database could not be reached; asking the module proxy for retracted and deprecated modules" >&2
go list -m -e -u -retracted -f '{{if not (or .Main .Indirect)}}{{.Path}}@{{.Version}}{{with .Retracted}} RETRACTED: {{join . "; "}}{{end}}{{with .Deprecated}} DEPRECATED: {{.}}{{end}}{{with .Error}} not asked: {{.Err}}{{end}}{{end}}' all >"$report"
asked=$(grep -c . "$report" || true)
grep -E ' (RETRACTED|DEPRECATED|not asked): ' "$report" || true
if grep -q ' RETRACTED: ' "$report"; then exit 1; fi
echo "vulnerabilities: of $asked required modules $(grep -c ' not asked: ' "$report" || true) could not be asked for, none of the others is retracted"
