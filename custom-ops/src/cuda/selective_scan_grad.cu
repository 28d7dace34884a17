// The selective scan, backward, of float32; and the size of its workspace, which does not depend on the type of its elements.
#include "selective_scan_grad.cuh"

namespace tfjs_mamba {
namespace cuda {

template const char *launchSelectiveScanGrad(const ScanBackward &, const Pieces &, float *, void *);

size_t scanGradWorkspace(const ScanShape &p, const Pieces &pieces) {
  const int64_t slices = p.batch * pieces.count;
  return static_cast<size_t>(slices * (stateFloats(p) + p.channels * (3 + 3 * p.states)) +
                             p.batch * p.length * 2 * stateFloats(p) / kChannels) +
         (partsOf(p) > 1 ? static_cast<size_t>((partsOf(p) * 3 * p.length + 2 * runsOf(p)) * p.batch * p.channels) : 0);
}

}  // namespace cuda
}  // namespace tfjs_mamba
