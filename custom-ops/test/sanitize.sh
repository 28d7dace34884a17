#!/bin/sh
# The native ops under AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer: the tests that need no TensorFlow, then
# specs on the backend tensorflow with the sanitized op library in the place of the installed one, which is put back at the end.
#
#   custom-ops/test/sanitize.sh                          every spec of the ops and of decoders, and those of threads, workers and failing calls
#   custom-ops/test/sanitize.sh [arguments of npm test]  others
#
# Needs GCC, and what `npm test` needs; takes some minutes.
set -eu
cd "$(dirname "$0")/../.."
build=.cache/sanitize
reports=$PWD/$build/report
suppressions=$PWD/$build/suppressions
cmake -S custom-ops -B "$build" -DSANITIZE=ON -DBUILD_TESTING=ON
cmake --build "$build" --parallel 2
ctest --test-dir "$build" --output-on-failure

rm -f "$reports".*
finish() {
  status=$?
  node bin/tfjs-mamba.js setup-native > /dev/null
  # A leak is found as a process ends, after its specs have been counted. The memory that a spec asks for in vain is none.
  if grep -hv 'WARNING: AddressSanitizer failed to allocate' "$reports".* 2> /dev/null; then status=1; fi
  exit "$status"
}
node bin/tfjs-mamba.js setup-native
trap finish EXIT
rm native/tfjs_mamba_ops.so
cp "$build/tfjs_mamba_ops.so" native/

# Jasmine ends the process without taking V8 down, whose pages then hold the only pointers to what it notes about them.
printf 'leak:v8::internal::%s\n' MemoryChunk CodeObjectRegistry > "$suppressions"
export LSAN_OPTIONS="suppressions=$suppressions:print_suppressions=0"
export UBSAN_OPTIONS=print_stacktrace=1
# With oneDNN on, TensorFlow cuts large tensors out of blocks of its own, where nothing marks the end of one.
export TF_ENABLE_ONEDNN_OPTS=0
# TensorFlow, built without the sanitizers, frees what others have made. A spec asks for more memory than there is.
options=log_path=$reports:allocator_may_return_null=1:alloc_dealloc_mismatch=0:new_delete_type_mismatch=0
compiler=${CXX:-c++}
runtimes="$($compiler -print-file-name=libasan.so) $($compiler -print-file-name=libstdc++.so)"

# specs OPTIONS [arguments of npm test]
specs() {
  more=$1
  shift
  env ASAN_OPTIONS="$options:$more" LD_PRELOAD="$runtimes" node --import tsx scripts/runTests.ts "$@"
}
if [ $# -gt 0 ]; then
  specs '' "$@"
else
  specs '' --backend tensorflow test/ops test/lm/decoder.spec.ts
  # What has been freed is held back, to catch its use: less than the usual 256 MB, which would pass for growth.
  specs quarantine_size_mb=8 test/native
fi
