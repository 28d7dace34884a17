// The CUDA kernels as plain functions: device pointers in a problem, a workspace, a stream. No TensorFlow type, so that
// the standalone harness and the TensorFlow registration use the same doors. Each returns null, or what went wrong. A
// workspace is device memory, its size in floats; where sizes depend on the device, its number of multiprocessors is
// asked for.
#pragma once

#include <cstddef>

#include "../problem.h"

namespace tfjs_mamba {
namespace cuda {

// Steps between two saved states. Shorter than on the CPU: a chunk's states are kept in shared memory.
constexpr int kSteps = 8;
constexpr int64_t savedStates(int64_t length) { return (length + kSteps - 1) / kSteps; }

// How a scan is cut in time: enough pieces to fill the device, each a multiple of kSteps.
struct Pieces {
  int64_t count, length;
};
Pieces cutTime(const ScanShape &p, int multiprocessors, bool backward);

// Floats of all states of one sequence at one time, as the kernels keep them; and `chunkStates` is
// [B,savedStates,stateFloats] here.
int64_t stateFloats(const ScanShape &p);
inline int64_t savedFloats(const ScanShape &p) { return p.batch * savedStates(p.length) * stateFloats(p); }

size_t scanWorkspace(const ScanShape &p, const Pieces &pieces);
size_t scanGradWorkspace(const ScanShape &p, const Pieces &pieces);

// At most 64 states a channel. T is float, __nv_bfloat16 or __half; with the latter two B and C must change with time.
template <typename T>
const char *launchSelectiveScan(const ScanForwardOf<T> &p, const Pieces &pieces, float *workspace, void *stream);
template <typename T>
const char *launchSelectiveScanGrad(const ScanBackwardOf<T> &p, const Pieces &pieces, float *workspace, void *stream);

const char *launchStateUpdate(const StateUpdate &p, void *stream);

// Mamba-2's scan: floats of the states that chunks of kSsdChunk positions start from, [B,chunks,H,P,N]; they are kept, or else in
// the workspace.
size_t ssdStatesSize(const SsdProblem &p);
size_t ssdWorkspace(const SsdForward &p);
const char *launchSsd(const SsdForward &p, float *workspace, void *stream);
size_t ssdGradWorkspace(const SsdProblem &p);
const char *launchSsdGrad(const SsdBackward &p, float *workspace, void *stream);
const char *launchSsdStep(const SsdStep &p, void *stream);

// At most 8 taps.
const char *launchCausalConv1d(const ConvForward &p, int multiprocessors, void *stream);
size_t causalConv1dGradWorkspace(const ConvProblem &p, int multiprocessors);
const char *launchCausalConv1dGrad(const ConvBackward &p, int multiprocessors, float *workspace, void *stream);

const char *launchRmsNorm(const NormForward &p, void *stream);
size_t rmsNormGradWorkspace(const NormBackward &p, int multiprocessors);
const char *launchRmsNormGrad(const NormBackward &p, int multiprocessors, float *workspace, void *stream);

const char *launchGatedRmsNorm(const GatedNormForward &p, void *stream);
size_t gatedRmsNormGradWorkspace(const GatedNormProblem &p, int multiprocessors);
const char *launchGatedRmsNormGrad(const GatedNormBackward &p, int multiprocessors, float *workspace, void *stream);

const char *launchCrossEntropy(const EntropyForward &p, void *stream);
constexpr size_t kCrossEntropyGradWorkspace = 1;
const char *launchCrossEntropyGrad(const EntropyBackward &p, float *workspace, void *stream);

// The tables of tensors lie in host memory and may go when the call returns. The clip factor is one more number on the
// device, in place of the problem's own.
const char *launchAdamW(const AdamWProblem &p, const float *gradScale, void *stream);
size_t globalNormWorkspace(const GlobalNorm &p);
const char *launchGlobalNorm(const GlobalNorm &p, float *workspace, void *stream);

const char *launchMatVec(const MatVec &p, void *stream);

size_t blockStepWorkspace(const BlockStep &p);
const char *launchBlockStep(const BlockStep &p, float *workspace, void *stream);

}  // namespace cuda
}  // namespace tfjs_mamba
