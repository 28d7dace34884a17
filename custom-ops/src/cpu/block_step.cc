// One token through a whole block: norm, in_proj, conv, x_proj, dt_proj, state update, gate, out_proj, residual sum.
// A token's arithmetic is nothing beside the reading of the weights; what this saves is everything between the reads:
// about fifteen op dispatches, as many tensors and their allocation.
#include "../problem.h"
#include "conv_step.h"
#include "parallel.h"
#include "project.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

void normalizeRow(const float *r, const float *weight, float *y, int64_t width, float epsilon);
void normalizeRow(float *r, int64_t width, float epsilon);  // in place, without weight
void selectiveStateUpdateOfLogA(const StateUpdate &p);  // p.A holds log(-A)

void blockStep(const BlockStep &p) {
  const int64_t R = p.batch, D = p.inner, N = p.states, wide = p.rank + 2 * N;
  Scratch scratch(R * (2 * p.model + 6 * D + wide + p.rank + 2 * N));
  float *normed = scratch.take(R * p.model), *xz = scratch.take(R * 2 * D), *u = scratch.take(R * D);
  float *dbc = scratch.take(R * wide), *dt = scratch.take(R * p.rank), *B = scratch.take(R * N);
  float *C = scratch.take(R * N), *z = scratch.take(R * D), *delta = scratch.take(R * D), *y = scratch.take(R * D);
  float *out = scratch.take(R * p.model);

  for (int64_t b = 0; b < R; ++b)
    normalizeRow(p.x + b * p.model, p.norm, normed + b * p.model, p.model, p.epsilon);
  project(p.inProj, R, p.model, 2 * D, normed, p.inBias, xz);
  convStep({R, D, p.taps, 2 * D, xz, p.convState, p.conv, p.convBias, u, p.newConvState});
  project(p.xProj, R, D, wide, u, nullptr, dbc);
  slice(dt, dbc, R, wide, 0, p.rank);
  slice(B, dbc, R, wide, p.rank, N);
  slice(C, dbc, R, wide, p.rank + N, N);
  slice(z, xz, R, 2 * D, D, D);
  if (p.mixerEpsilon > 0) {
    for (int64_t b = 0; b < R; ++b) {
      normalizeRow(dt + b * p.rank, p.rank, p.mixerEpsilon);
      normalizeRow(B + b * N, N, p.mixerEpsilon);
      normalizeRow(C + b * N, N, p.mixerEpsilon);
    }
  }
  project(p.dtProj, R, p.rank, D, dt, nullptr, delta);
  selectiveStateUpdateOfLogA({R, D, N, 1, 1, false, false, true, p.ssmState, u, delta, p.ALog, B, C, p.D, z, p.dtBias,
                              y, p.newSsmState});
  project(p.outProj, R, D, p.model, y, p.outBias, out);
  addTo(p.y, out, p.x, R * p.model);
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
