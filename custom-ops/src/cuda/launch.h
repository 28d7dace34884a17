// The CUDA kernels as plain functions: device pointers in a problem, a workspace, a stream. No TensorFlow type, so that
// the standalone harness and the TensorFlow registration use the same doors. Each returns null, or what went wrong.
#pragma once

#include <cstddef>

#include "../problem.h"

namespace tfjs_mamba {
namespace cuda {

// Steps between two saved states. Shorter than on the CPU: here a chunk's states are kept in registers.
constexpr int64_t kSteps = 16;
constexpr int64_t savedStates(int64_t length) { return (length + kSteps - 1) / kSteps; }

// Largest number of states a channel may have.
constexpr int64_t kMaxStates = 64;

// How a scan is cut in time: enough pieces to fill the device, each a multiple of kSteps.
struct Pieces {
  int64_t count, length;
};
Pieces cutTime(const ScanProblem &p, int multiprocessors);

// Device memory the launches need, in floats.
size_t scanWorkspace(const ScanProblem &p, const Pieces &pieces);
size_t scanGradWorkspace(const ScanProblem &p, const Pieces &pieces);

// `chunkStates` is [B,savedStates,N,D] here.
const char *launchSelectiveScan(const ScanForward &p, const Pieces &pieces, float *workspace, void *stream);
const char *launchSelectiveScanGrad(const ScanBackward &p, const Pieces &pieces, float *workspace, void *stream);

}  // namespace cuda
}  // namespace tfjs_mamba
