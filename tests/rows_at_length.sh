#!/usr/bin/env bash
# Random rows of random schemas against prost-reflect, many more than `cargo test` takes.
#
# Usage: tests/rows_at_length.sh [ROWS] [FIRST_SEED]
set -euo pipefail
cd "$(dirname "$0")/.."
export ZEROBUS_CASES="${1:-200000}" ZEROBUS_SEED="${2:-$((RANDOM * 1000000))}"
echo "$ZEROBUS_CASES rows from seed $ZEROBUS_SEED"
cargo test --test it random::
