// The table of this instruction set's kernels.
#include "kernels.h"

#include "vector_math.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

void selectiveScan(const ScanForward &);
void selectiveScanGrad(const ScanBackward &);
void selectiveStateUpdate(const StateUpdate &);
void ssd(const SsdForward &);
void ssdGrad(const SsdBackward &);
void ssdStep(const SsdStep &);
void causalConv1d(const ConvForward &);
void causalConv1dGrad(const ConvBackward &);
void rmsNorm(const NormForward &);
void rmsNormGrad(const NormBackward &);
void gatedRmsNorm(const GatedNormForward &);
void gatedRmsNormGrad(const GatedNormBackward &);
void crossEntropy(const EntropyForward &);
void crossEntropyGrad(const EntropyBackward &);
void adamW(const AdamWProblem &);
void globalNorm(const GlobalNorm &);
void matVec(const MatVec &);
void packedMatVec(const PackedMatVec &);
void unpackRows(const UnpackRows &);
void blockStep(const BlockStep &);
void mamba2Step(const Mamba2Step &);
void lookUpTokens(const TokenEnds &);
void chooseTokens(const TokenEnds &);
void draw(const Draw &);

static void elementwise(int which, int64_t n, const float *x, float *y) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const Vec v = loadFirst(x + i, n - i);
    const Vec r = which == 0 ? exp2Vec(v) : which == 1 ? expVec(v) : which == 2 ? softplusVec(v) : silu(v);
    storeFirst(y + i, r, n - i);
  }
}

#define SIMD_STRING(x) #x
#define SIMD_NAME(x) SIMD_STRING(x)

extern const CpuKernels kernels = {SIMD_NAME(SIMD_LEVEL),
                                   selectiveScan,
                                   selectiveScanGrad,
                                   selectiveStateUpdate,
                                   ssd,
                                   ssdGrad,
                                   ssdStep,
                                   causalConv1d,
                                   causalConv1dGrad,
                                   rmsNorm,
                                   rmsNormGrad,
                                   gatedRmsNorm,
                                   gatedRmsNormGrad,
                                   crossEntropy,
                                   crossEntropyGrad,
                                   adamW,
                                   globalNorm,
                                   matVec,
                                   packedMatVec,
                                   unpackRows,
                                   blockStep,
                                   mamba2Step,
                                   lookUpTokens,
                                   chooseTokens,
                                   draw,
                                   elementwise};

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
