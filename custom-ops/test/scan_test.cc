// The CPU scan. (The op tests in TypeScript do this through TensorFlow for every op; here it runs under valgrind or a sanitizer.)
#include "chunked_scan_test.h"

using namespace tfjs_mamba;

struct Scan {
  using Case = ScanCase;
  using Data = ScanData;
  using Problem = ScanProblem;
  using Forward = ScanForward;
  using Backward = ScanBackward;

  static auto cases() { return scanCases(); }
  static auto truth(const Case &c, const Data &in) { return referenceScan(c, in); }
  static int64_t savedStates(const Case &c) { return c.batch * chunkCount(c.length) * c.states * c.channels; }
  static void kernels(const Forward &forward, const Backward &backward) {
    cpuKernels().selectiveScan(forward);
    cpuKernels().selectiveScanGrad(backward);
  }
};

int main() { return testScan<Scan>(); }
