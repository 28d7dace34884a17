#!/usr/bin/env bash
# Runs the CUDA ops on this machine's GPU inside a TensorFlow that was built without CUDA: gpu/device_plugin.cc makes the
# GPU a device of it, and the specs of the backend tensorflow run with that. In the end TensorFlow's log must say that it
# put every one of our ops on the GPU. Ops of TensorFlow's own have no kernels for that device and run on the CPU, copies
# and all, so this shows what is right and not what is fast. Needs nvcc and a GPU, and before it
#
#   TF_DIR=<folder of tensorflow-cpu's libraries> npx tfjs-mamba setup-native --cuda
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

tensorflow=$(dirname "$(readlink -f node_modules/@tensorflow/tfjs-node/deps/lib/libtensorflow_cc.so.2)")
napi=$(node -e "import('./scripts/native/binding.js').then(({nodeApiHeaders}) => console.log(nodeApiHeaders()))")
plugin=$PWD/.cache/device_plugin.node
mkdir -p .cache
nvcc -std=c++17 -O2 -shared -Xcompiler=-fPIC,-fvisibility=hidden -DNAPI_VERSION=8 -isystem "$tensorflow/include" \
  -isystem "$napi" -o "$plugin" custom-ops/test/gpu/device_plugin.cc -L"$tensorflow" \
  -Xlinker=-l:libtensorflow_cc.so.2,-l:libtensorflow_framework.so.2,-rpath="$tensorflow"
export TFJS_MAMBA_DEVICE_PLUGIN=$plugin NODE_OPTIONS=--require=$plugin TF_CPP_MIN_LOG_LEVEL=2

node --import tsx node_modules/jasmine/bin/jasmine.js test/native/onGpu.ts
node --import tsx scripts/runTests.ts --filter 'threads|twice' test/native

# Without the forms composed of TensorFlow's ops, which would run on the CPU.
TF_CPP_MIN_LOG_LEVEL=0 TF_CPP_VMODULE=execute=1 \
  node --import tsx scripts/runTests.ts --backend tensorflow --filter '^(?!.*composed)' \
  test/ops test/layers test/lm test/training > "$out/log" 2>&1 || failed=1
grep -av 'execute\.cc:' "$out/log"
echo 'Calls of an op on a device:'
grep -aoE 'Executing op TfjsMamba\w+ in device \S+' "$out/log" | sed -E 's/Executing op (\w+) .*device:(.*)/\1 \2/' |
  sort | uniq -c | tee "$out/placed"
# Mamba-2's step of blocks and the ops of packed weights have no CUDA kernels.
for op in $(grep -ohE 'kName = "TfjsMamba\w+' custom-ops/src/arguments/*.h | cut -d'"' -f2 | grep -vE 'Mamba2Step|PackedMatVec|UnpackRows'); do
  [ "$(grep -w "$op" "$out/placed" | awk '{print $3}')" = GPU:0 ] || { echo "$op did not run on the GPU, or not only"; failed=1; }
done
exit "${failed:-0}"
