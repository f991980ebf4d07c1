#!/usr/bin/env bash
# Processor seconds that programs take to compile, on one core: `./dev bench compile` calls it.
set -euo pipefail
compiler=${CXX:-g++}
read -ra eigen <<<"$(pkg-config --cflags eigen3 | sed 's/-I/-isystem /g')"
flags=(-std=c++20 -O2 -march=native -fopenmp -Iinclude -Iexamples "${eigen[@]}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '#include <inkling/backend/cpu.hpp>\n#include <inkling/inkling.hpp>\n' >"$scratch/headers.cpp"

measure() {
    local seconds TIMEFORMAT=%U
    { seconds=$( { time "$compiler" "${flags[@]}" "${@:2}" 2>&3; } 2>&1); } 3>&2  # what the compiler says is for the user
    printf '%-52s %6.1f s\n' "$1" "$seconds"
}
measure "headers, nothing of them used" -fsyntax-only "$scratch/headers.cpp"
measure "smallest program, without code" -fsyntax-only benchmarks/compile/smallest.cpp
measure "smallest program" -c benchmarks/compile/smallest.cpp -o "$scratch/object"
measure "examples/custom_schedule.cpp, one policy of one's own" -c examples/custom_schedule.cpp -o "$scratch/object"
measure "examples/quickstart.cpp, which trains too" -c examples/quickstart.cpp -o "$scratch/object"
