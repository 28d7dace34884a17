// What happens when TensorFlow loads the library, and the few functions that the Node addon calls in it.
#include "../cpu/kernels.h"
#include "../cpu/thread_pool.h"
#include "ops.h"

// TF_LoadLibrary runs constructors and nothing else.
__attribute__((constructor)) static void registerOps() {
  using namespace tfjs_mamba;
  registerScanOps();
  registerSsdOps();
  registerConvOps();
  registerNormOps();
  registerLossOps();
  registerOptimizerOps();
  registerDecodeOps();
  registerDecoderOps();
  registerPackedOps();
  registerBundleOps();
  registerDrawOps();
}

extern "C" {

__attribute__((visibility("default"))) const char *tfjs_mamba_simd_level() { return tfjs_mamba::cpuKernels().level; }
__attribute__((visibility("default"))) int tfjs_mamba_thread_count() { return tfjs_mamba::threadCount(); }

}  // extern "C"
