// One token through a whole block of Mamba-2: norm, in_proj, conv, state update, gated norm, out_proj, residual sum. As with
// block_step.cc, what it saves is all that is between the reads of the weights.
#include "../problem.h"
#include "conv_step.h"
#include "parallel.h"
#include "project.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

void normalizeRow(const float *r, const float *weight, float *y, int64_t width, float epsilon);
void ssdStep(const SsdStep &p);
void gatedRmsNorm(const GatedNormForward &p);

void mamba2Step(const Mamba2Step &p) {
  const int64_t R = p.batch, H = p.heads, E = p.inner(), W = p.convWidth(), GN = p.groups * p.states, wide = p.projected();
  Scratch scratch(R * (2 * p.model + wide + W + H + 3 * E + 2 * GN) + H);
  float *normed = scratch.take(R * p.model), *zxd = scratch.take(R * wide), *convolved = scratch.take(R * W);
  float *z = scratch.take(R * E), *delta = scratch.take(R * H), *u = scratch.take(R * E), *B = scratch.take(R * GN);
  float *C = scratch.take(R * GN), *y = scratch.take(R * E), *A = scratch.take(H), *out = scratch.take(R * p.model);

  for (int64_t b = 0; b < R; ++b)
    normalizeRow(p.x + b * p.model, p.norm, normed + b * p.model, p.model, p.epsilon);
  project(p.inProj, R, p.model, wide, normed, p.inBias, zxd);
  convStep({R, W, p.taps, wide, zxd + E, p.convState, p.conv, p.convBias, convolved, p.newConvState});
  slice(z, zxd, R, wide, 0, E);
  slice(delta, zxd, R, wide, E + W, H);
  slice(u, convolved, R, W, 0, E);
  slice(B, convolved, R, W, E, GN);
  slice(C, convolved, R, W, E + GN, GN);
  for (int64_t h = 0; h < H; h += kLanes) storeFirst(A + h, -expVec(loadFirst(p.ALog + h, H - h)), H - h);

  SsdStep step{};
  step.batch = R, step.length = 1, step.heads = H, step.headDim = p.headDim, step.groups = p.groups;
  step.states = p.states, step.softplus = true, step.deltaMin = p.deltaMin, step.deltaMax = p.deltaMax;
  step.skipWidth = p.skipWidth, step.u = u, step.delta = delta, step.A = A, step.B = B, step.C = C, step.D = p.D;
  step.z = p.gatedNorm ? nullptr : z, step.deltaBias = p.dtBias, step.initialState = p.ssmState;
  step.y = y, step.newState = p.newSsmState;
  ssdStep(step);
  if (p.gatedNorm) {
    GatedNormForward norm{};
    norm.rows = R * p.normGroups, norm.width = E / p.normGroups, norm.groups = p.normGroups;
    norm.normBeforeGate = p.normBeforeGate, norm.epsilon = p.epsilon;
    norm.x = y, norm.weight = p.gatedNorm, norm.z = z, norm.y = u;
    gatedRmsNorm(norm);
  }
  project(p.outProj, R, E, p.model, p.gatedNorm ? u : y, p.outBias, out);
  addTo(p.y, out, p.x, R * p.model);
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
