#!/bin/sh
# Runs every fuzz target for SECONDS (default 60) and fails at the first crash.
#   tests/fuzz/run.sh [SECONDS]
# Needs cargo-fuzz (cargo install cargo-fuzz --locked) and a C++ compiler. Sanitizers are unstable
# options of rustc; RUSTC_BOOTSTRAP lets the stable toolchain of the workspace take them.
set -eu
seconds=${1:-60}
fuzz_dir=$(cd "$(dirname "$0")" && pwd)
export RUSTC_BOOTSTRAP=1
for file in "$fuzz_dir"/fuzz_targets/*.rs; do
    target=$(basename "$file" .rs)
    echo "fuzzing $target for $seconds seconds"
    cargo fuzz run --fuzz-dir "$fuzz_dir" "$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -verbosity=0 -print_final_stats=1
done
