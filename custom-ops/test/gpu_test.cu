// Checks every CUDA launcher against float64 references and times it against what the device can do: the bytes that
// must move at the bandwidth of a copy, and exponentials and multiply-adds at the rate of a kernel that does nothing else. Needs a
// GPU and no TensorFlow: run-gpu.sh builds and runs it.
#include "gpu/harness.h"

int main(int argc, char **argv) {
  using namespace tfjs_mamba;
  Harness h;
  testScan(h), testStateUpdate(h), testCausalConv1d(h), testRmsNorm(h), testGatedRmsNorm(h), testSsd(h),
      testCrossEntropy(h), testAdamW(h), testDecode(h);
  if (argc < 2 || std::strcmp(argv[1], "--no-times") != 0) {
    h.measureDevice();
    timeScan(h), timeStateUpdate(h), timeCausalConv1d(h), timeRmsNorm(h), timeGatedRmsNorm(h), timeSsd(h),
        timeCrossEntropy(h), timeAdamW(h), timeDecode(h);
  }
  return h.report() ? 0 : 1;
}
