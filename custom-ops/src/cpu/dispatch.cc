// Picks the kernels of the best instruction set the processor has.
#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace tfjs_mamba {

namespace baseline {
extern const CpuKernels kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const CpuKernels kernels;
}
namespace avx512 {
extern const CpuKernels kernels;
}
#endif

namespace {

const CpuKernels &choose() {
#if defined(__x86_64__)
  const char *asked = std::getenv("TFJS_MAMBA_SIMD");
  const int limit = !asked ? 2 : !std::strcmp(asked, "baseline") ? 0 : !std::strcmp(asked, "avx2") ? 1 : 2;
  __builtin_cpu_init();
  const bool hasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool hasAvx512 = hasAvx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
  if (hasAvx512 && limit >= 2) return avx512::kernels;
  if (hasAvx2 && limit >= 1) return avx2::kernels;
#endif
  return baseline::kernels;
}

}  // namespace

const CpuKernels &cpuKernels() {
  static const CpuKernels &chosen = choose();
  return chosen;
}

}  // namespace tfjs_mamba
