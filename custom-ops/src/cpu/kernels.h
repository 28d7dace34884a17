// The CPU kernels of one instruction set, as a table of functions, and the choice among the tables.
#pragma once

#include "../problem.h"

namespace tfjs_mamba {

struct CpuKernels {
  const char *level;
  void (*selectiveScan)(const ScanForward &);
  void (*selectiveScanGrad)(const ScanBackward &);
  void (*selectiveStateUpdate)(const StateUpdate &);
  void (*ssd)(const SsdForward &);
  void (*ssdGrad)(const SsdBackward &);
  void (*ssdStep)(const SsdStep &);
  void (*causalConv1d)(const ConvForward &);
  void (*causalConv1dGrad)(const ConvBackward &);
  void (*rmsNorm)(const NormForward &);
  void (*rmsNormGrad)(const NormBackward &);
  void (*gatedRmsNorm)(const GatedNormForward &);
  void (*gatedRmsNormGrad)(const GatedNormBackward &);
  void (*crossEntropy)(const EntropyForward &);
  void (*crossEntropyGrad)(const EntropyBackward &);
  void (*adamW)(const AdamWProblem &);
  void (*globalNorm)(const GlobalNorm &);
  void (*matVec)(const MatVec &);
  void (*packedMatVec)(const PackedMatVec &);
  void (*unpackRows)(const UnpackRows &);
  void (*blockStep)(const BlockStep &);
  void (*mamba2Step)(const Mamba2Step &);
  void (*lookUpTokens)(const TokenEnds &);
  void (*chooseTokens)(const TokenEnds &);
  void (*draw)(const Draw &);
  // For tests: which = 0 exp2, 1 exp, 2 softplus, 3 silu, over an array.
  void (*elementwise)(int which, int64_t n, const float *x, float *y);
};

// The best table for this processor; the environment variable TFJS_MAMBA_SIMD (baseline, avx2, avx512) asks for less.
const CpuKernels &cpuKernels();

}  // namespace tfjs_mamba
