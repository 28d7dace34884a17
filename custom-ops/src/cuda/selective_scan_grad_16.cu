// The selective scan, backward, of elements of 16 bits.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "selective_scan_grad.cuh"

namespace tfjs_mamba {
namespace cuda {

template const char *launchSelectiveScanGrad(const ScanBackwardOf<__nv_bfloat16> &, const Pieces &, float *, void *);
template const char *launchSelectiveScanGrad(const ScanBackwardOf<__half> &, const Pieces &, float *, void *);

}  // namespace cuda
}  // namespace tfjs_mamba
