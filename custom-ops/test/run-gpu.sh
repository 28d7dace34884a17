#!/usr/bin/env bash
# Builds the CUDA kernels with their harness, for the GPU of this machine, and runs it. Needs nvcc and a GPU.
#   custom-ops/test/run-gpu.sh [--no-times]
#   custom-ops/test/run-gpu.sh --sanitize       under compute-sanitizer, for bad accesses and for races
#   custom-ops/test/run-gpu.sh --official DIR   beside the official kernels, of which DIR is a checkout (official.py)
set -euo pipefail
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
printf '%s\n' gpu_test.cu gpu/*.cu ../src/cuda/*.cu |
  xargs -P "$(nproc)" -I{} sh -c 'nvcc -std=c++17 -O3 -arch=native --expt-relaxed-constexpr -Xcompiler -fPIC -c -o "$1/o$(echo "$2" | tr / _).o" "$2"' _ "$out" {}
nvcc -arch=native -o "$out/gpu_test" "$out"/*.o
case "${1:-}" in
  --sanitize)
    for tool in memcheck racecheck; do
      compute-sanitizer --tool "$tool" --error-exitcode 1 "$out/gpu_test" --no-times
    done
    ;;
  --official)
    rates=$("$out/gpu_test" | sed -n 's/^copy \([0-9]*\) GB.s, exp2 \([0-9]*\) a nanosecond.*/\1 \2e9/p')
    nvcc -arch=native -shared -o "$out/kernels.so" "$out"/o.._src_cuda_*.o "$out/ogpu_door.cu.o"
    # shellcheck disable=SC2086 # two arguments
    python3 official.py "$(realpath "$2")" "$out/kernels.so" $rates
    ;;
  *) "$out/gpu_test" "$@" ;;
esac
