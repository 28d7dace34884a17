// The selective scan, forward, of elements of 16 bits.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "selective_scan.cuh"

namespace tfjs_mamba {
namespace cuda {

template const char *launchSelectiveScan(const ScanForwardOf<__nv_bfloat16> &, const Pieces &, float *, void *);
template const char *launchSelectiveScan(const ScanForwardOf<__half> &, const Pieces &, float *, void *);

}  // namespace cuda
}  // namespace tfjs_mamba
