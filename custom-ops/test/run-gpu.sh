#!/usr/bin/env bash
# Builds the CUDA kernels with their harness, for the GPU of this machine, and runs it. Needs nvcc and a GPU.
#   custom-ops/test/run-gpu.sh [--no-times]
#   custom-ops/test/run-gpu.sh --sanitize    under compute-sanitizer, for bad accesses and for races
set -euo pipefail
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
printf '%s\n' gpu_test.cu gpu/*.cu ../src/cuda/*.cu |
  xargs -P "$(nproc)" -I{} sh -c 'nvcc -std=c++17 -O3 -arch=native --expt-relaxed-constexpr -c -o "$1/o$(echo "$2" | tr / _).o" "$2"' _ "$out" {}
nvcc -arch=native -o "$out/gpu_test" "$out"/*.o
if [ "${1:-}" = --sanitize ]; then
  for tool in memcheck racecheck; do
    compute-sanitizer --tool "$tool" --error-exitcode 1 "$out/gpu_test" --no-times
  done
else
  "$out/gpu_test" "$@"
fi
