// The scan and its step behind plain C, for official.py: sizes, and device pointers of float32 in the order that is written there.
#include "../../src/cuda/launch.h"

using namespace tfjs_mamba;

namespace {

// sizes: batch, length, channels, states. inputs: u, delta, A, B, C, D, z, deltaBias.
ScanProblem problemOf(const int64_t *sizes, const float *const *inputs) {
  ScanProblem p{};
  p.batch = sizes[0], p.length = sizes[1], p.channels = sizes[2], p.states = sizes[3];
  p.groupsB = p.groupsC = 1, p.softplus = true;
  p.u = inputs[0], p.delta = inputs[1], p.A = inputs[2], p.B = inputs[3], p.C = inputs[4];
  p.D = inputs[5], p.z = inputs[6], p.deltaBias = inputs[7];
  return p;
}

}  // namespace

extern "C" {

// Floats of the saved states, and of the workspaces of forward and backward.
void scanSizes(const int64_t *sizes, int multiprocessors, int64_t *floats) {
  const float *none[8] = {};
  const ScanProblem p = problemOf(sizes, none);
  floats[0] = cuda::savedFloats(p);
  floats[1] = cuda::scanWorkspace(p, cuda::cutTime(p, multiprocessors, false));
  floats[2] = cuda::scanGradWorkspace(p, cuda::cutTime(p, multiprocessors, true));
}

// outputs: y, finalState, chunkStates (null: not kept).
const char *scanForward(const int64_t *sizes, int multiprocessors, const float *const *inputs, float *const *outputs,
                        float *workspace, void *stream) {
  ScanForward p{};
  static_cast<ScanProblem &>(p) = problemOf(sizes, inputs);
  p.y = outputs[0], p.finalState = outputs[1], p.chunkStates = outputs[2];
  return cuda::launchSelectiveScan(p, cuda::cutTime(p, multiprocessors, false), workspace, stream);
}

// gradients: chunkStates, dy, dFinalState given; du, ddelta, dA, dB, dC, dD, dz, ddeltaBias.
const char *scanBackward(const int64_t *sizes, int multiprocessors, const float *const *inputs, float *const *gradients,
                         float *workspace, void *stream) {
  ScanBackward p{};
  static_cast<ScanProblem &>(p) = problemOf(sizes, inputs);
  p.chunkStates = gradients[0], p.dy = gradients[1], p.dFinalState = gradients[2];
  p.du = gradients[3], p.ddelta = gradients[4], p.dA = gradients[5], p.dB = gradients[6], p.dC = gradients[7];
  p.dD = gradients[8], p.dz = gradients[9], p.ddeltaBias = gradients[10];
  return cuda::launchSelectiveScanGrad(p, cuda::cutTime(p, multiprocessors, true), workspace, stream);
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
