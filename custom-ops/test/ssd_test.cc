// The CPU scan of Mamba-2.
#include "chunked_scan_test.h"
#include "ssd_reference.h"

using namespace tfjs_mamba;

struct Ssd {
  using Case = SsdCase;
  using Data = SsdData;
  using Problem = SsdProblem;
  using Forward = SsdForward;
  using Backward = SsdBackward;

  static auto cases() { return ssdCases(); }
  static auto truth(const Case &c, const Data &in) { return referenceSsd(c, in); }
  static int64_t savedStates(const Case &c) { return ssdChunkCount(c.length) * c.state(); }
  static void kernels(const Forward &forward, const Backward &backward) {
    cpuKernels().ssd(forward);
    cpuKernels().ssdGrad(backward);
  }
};

int main() { return testScan<Ssd>(); }
