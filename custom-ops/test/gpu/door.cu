// The scan and its step behind plain C, for official.py: sizes, and device pointers in the order that is written there. What
// streams by is float32 or, where `half` says so, bfloat16.
#include <cuda_bf16.h>

#include "../../src/cuda/launch.h"

using namespace tfjs_mamba;

namespace {

ScanShape shapeOf(const int64_t *sizes) { return {sizes[0], sizes[1], sizes[2], sizes[3], 1, 1, false, false, true}; }

// A pointer to whatever is asked for.
struct Any {
  void *const *at;
  template <typename T>
  operator T *() const {
    return static_cast<T *>(*at);
  }
};

// sizes: batch, length, channels, states. inputs: u, delta, A, B, C, D, z, deltaBias.
template <typename T>
ScanProblemOf<T> problemOf(const int64_t *sizes, void *const *inputs) {
  const auto in = [&](int i) { return Any{inputs + i}; };
  return {shapeOf(sizes), in(0), in(1), in(2), in(3), in(4), in(5), in(6), in(7), nullptr, nullptr};
}

template <typename T>
const char *forward(const int64_t *sizes, int multiprocessors, void *const *inputs, void *const *outputs, float *workspace,
                    void *stream) {
  const auto out = [&](int i) { return Any{outputs + i}; };
  const ScanForwardOf<T> p{problemOf<T>(sizes, inputs), out(0), out(1), out(2)};
  return cuda::launchSelectiveScan(p, cuda::cutTime(p, multiprocessors, false), workspace, stream);
}

template <typename T>
const char *backward(const int64_t *sizes, int multiprocessors, void *const *inputs, void *const *gradients, float *workspace,
                     void *stream) {
  const auto out = [&](int i) { return Any{gradients + i}; };
  const ScanBackwardOf<T> p{problemOf<T>(sizes, inputs), out(0), out(1), out(2), out(3), out(4), out(5),
                            out(6), out(7), out(8), out(9), out(10), nullptr};
  return cuda::launchSelectiveScanGrad(p, cuda::cutTime(p, multiprocessors, true), workspace, stream);
}

}  // namespace

extern "C" {

// Floats of the saved states, and of the workspaces of forward and backward.
void scanSizes(const int64_t *sizes, int multiprocessors, int64_t *floats) {
  const ScanShape p = shapeOf(sizes);
  floats[0] = cuda::savedFloats(p);
  floats[1] = cuda::scanWorkspace(p, cuda::cutTime(p, multiprocessors, false));
  floats[2] = cuda::scanGradWorkspace(p, cuda::cutTime(p, multiprocessors, true));
}

// outputs: y, finalState, chunkStates (null: not kept).
const char *scanForward(int half, const int64_t *sizes, int multiprocessors, void *const *inputs, void *const *outputs,
                        float *workspace, void *stream) {
  return half ? forward<__nv_bfloat16>(sizes, multiprocessors, inputs, outputs, workspace, stream)
              : forward<float>(sizes, multiprocessors, inputs, outputs, workspace, stream);
}

// gradients: chunkStates, dy, dFinalState given; du, ddelta, dA, dB, dC, dD, dz, ddeltaBias.
const char *scanBackward(int half, const int64_t *sizes, int multiprocessors, void *const *inputs, void *const *gradients,
                         float *workspace, void *stream) {
  return half ? backward<__nv_bfloat16>(sizes, multiprocessors, inputs, gradients, workspace, stream)
              : backward<float>(sizes, multiprocessors, inputs, gradients, workspace, stream);
}

// sizes: batch, channels, states. tensors: state, u, delta, A, B, C, D, z, deltaBias, y, newState.
const char *stateUpdate(const int64_t *sizes, float *const *tensors, void *stream) {
  StateUpdate p{};
  p.batch = sizes[0], p.channels = sizes[1], p.states = sizes[2], p.groupsB = p.groupsC = 1, p.softplus = true;
  p.state = tensors[0], p.u = tensors[1], p.delta = tensors[2], p.A = tensors[3], p.B = tensors[4], p.C = tensors[5];
  p.D = tensors[6], p.z = tensors[7], p.deltaBias = tensors[8], p.y = tensors[9], p.newState = tensors[10];
  return cuda::launchStateUpdate(p, stream);
}
}
