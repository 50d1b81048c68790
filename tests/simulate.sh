#!/usr/bin/env bash
# The stream's state machine against a misbehaving model server on simulated time, and what
# acknowledgements cost:
#     tests/simulate.sh [SEEDS] [FIRST]
# 1,000,000 seeds without an argument. A seed that fails is replayed by
#     ZEROBUS_SEED=N ZEROBUS_SEEDS=1 cargo test --lib nothing_is_lost
set -euo pipefail
cd "$(dirname "$0")/.."
export ZEROBUS_SEEDS=${1:-1000000} ZEROBUS_SEED=${2:-0}
cargo test --lib nothing_is_lost
cargo test --lib acknowledgements_cost -- --ignored --nocapture
