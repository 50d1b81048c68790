#!/usr/bin/env bash
# Fuzzes each target for so many seconds (900 without an argument) and prints a line for each:
#     tests/fuzz/run.sh [SECONDS] [TARGET...]
# What is found goes to target/fuzz/: the corpus, which later runs begin with, and the input of
# each crash. Needs a nightly toolchain; installs cargo-fuzz if it is not there.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-900}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=(ndjson csv json proto)
out=target/fuzz
cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked

# The compiler of .proto files reads them from a file: one in memory, where there is such a place.
shm=/dev/shm
[ -w "$shm" ] || shm=${TMPDIR:-/tmp}
TMPDIR=$(mktemp -d -p "$shm")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

declare -A dict=([ndjson]=json [json]=json [csv]=csv [proto]=proto)
lines=()
failed=0
for target in "${targets[@]}"; do
  mkdir -p "$out/corpus/$target" "$out/crashes/$target"
  log=$out/$target.log
  before=$(find "$out/crashes/$target" -type f | wc -l)
  status=0
  cargo +nightly fuzz run --fuzz-dir tests/fuzz --target-dir "$out" "$target" \
    "$out/corpus/$target" "tests/fuzz/seeds/$target" -- \
    -dict="tests/fuzz/${dict[$target]}.dict" -artifact_prefix="$out/crashes/$target/" \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=16384 \
    -print_final_stats=1 2>&1 | tee "$log" || status=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
  coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -1 | tr -dc 0-9 || true)
  crashes=$(($(find "$out/crashes/$target" -type f | wc -l) - before))
  [ "$status" = 0 ] || failed=1
  lines+=("$target: ${executions:-?} executions, coverage ${coverage:-?}, $crashes crashes, exit $status")
done
printf '%s\n' "${lines[@]}"
exit $failed
