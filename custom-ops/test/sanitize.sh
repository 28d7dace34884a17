#!/bin/sh
# The CPU kernels under AddressSanitizer and UndefinedBehaviorSanitizer: the tests that need no TensorFlow, then specs on the
# backend tensorflow with the sanitized op library in the place of the installed one, which is put back at the end.
#
#   custom-ops/test/sanitize.sh [spec paths]       needs GCC, and what `npm test` needs; takes minutes
set -eu
cd "$(dirname "$0")/../.."
build=.cache/sanitize
cmake -S custom-ops -B "$build" -DSANITIZE=ON -DBUILD_TESTING=ON
cmake --build "$build" --parallel 2
ctest --test-dir "$build" --output-on-failure

node bin/tfjs-mamba.js setup-native
trap 'node bin/tfjs-mamba.js setup-native > /dev/null' EXIT
rm native/tfjs_mamba_ops.so
cp "$build/tfjs_mamba_ops.so" native/
# Node's own memory lives as long as the process, and TensorFlow, built without the sanitizer, frees what others have made.
export ASAN_OPTIONS=detect_leaks=0:alloc_dealloc_mismatch=0:new_delete_type_mismatch=0
export UBSAN_OPTIONS=print_stacktrace=1
compiler=${CXX:-c++}
LD_PRELOAD="$($compiler -print-file-name=libasan.so) $($compiler -print-file-name=libstdc++.so)" \
  node --import tsx scripts/runTests.ts --backend tensorflow ${@:-test/ops}
