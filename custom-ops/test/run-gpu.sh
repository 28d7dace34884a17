#!/usr/bin/env bash
# Builds the CUDA kernels with their harness, for the GPU of this machine, and runs it. Needs nvcc and a GPU.
#   custom-ops/test/run-gpu.sh [--no-times]
set -euo pipefail
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
nvcc -std=c++17 -O3 -arch=native --expt-relaxed-constexpr -o "$out/gpu_test" gpu_test.cu ../src/cuda/*.cu
"$out/gpu_test" "$@"
