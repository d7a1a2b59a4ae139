#!/bin/sh
# What a run shows on a terminal while it sends, as tmux has it on its screen: docs/live-80.txt and docs/live-132.txt.
#
#	sh tools/recordings.sh bin/splitbench docs
set -eu
program=$(realpath "${1:?program}") docs=${2:?folder to write}
command -v tmux >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends tmux; }
results=$(mktemp -d)
export TMUX_TMPDIR="$results" LANG=C.UTF-8
unset CI NO_COLOR
trap 'tmux -L w80 kill-server 2>/dev/null || true; tmux -L w132 kill-server 2>/dev/null || true; rm -rf "$results"' EXIT
for columns in 80 132; do
  tmux -L "w$columns" -f /dev/null new-session -d -x "$columns" -y 24 \
    "$program demo --rate 50 --requests 1500 --results-dir $results"
  tries=0
  until tmux -L "w$columns" capture-pane -p >"$results/screen" && grep -q '^1[0-9]s, ' "$results/screen"; do
    [ $((tries += 1)) -lt 300 ] || { echo "recordings: nothing is shown after a minute:" >&2; cat "$results/screen" >&2; exit 1; }
    sleep 0.2
  done
  sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' "$results/screen" >"$docs/live-$columns.txt" # without the empty rows below
  tmux -L "w$columns" kill-server
done
echo "$docs/live-80.txt $docs/live-132.txt"
