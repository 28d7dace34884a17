// The gated root-mean-square norm at the end of a Mamba-2 mixer: r = x silu(z) normed, or x normed and then times silu(z).
#include "../problem.h"
#include "norm_row.h"
#include "vector_math.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

void normalizeRow(const float *r, const float *weight, float *y, int64_t width, float epsilon);  // rms_norm.cc

namespace {

bool gatesInput(const GatedNormProblem &p) { return p.z && !p.normBeforeGate; }
bool gatesResult(const GatedNormProblem &p) { return p.z && p.normBeforeGate; }

// to = from silu(z), of one row.
SIMD_INLINE void gateRow(float *to, const float *from, const float *z, int64_t width) {
  for (int64_t c = 0; c < width; c += kLanes)
    storeFirst(to + c, loadFirst(from + c, width - c) * silu(loadFirst(z + c, width - c)), width - c);
}

// A block holds whole rows of x, all groups of each.
template <typename Row>
void forGroups(const GatedNormProblem &p, const Row &row) {
  forRowBlocks(p.rows / p.groups, [&](int64_t i, int64_t block) {
    for (int64_t group = 0; group < p.groups; ++group) row((i * p.groups + group) * p.width, group * p.width, block);
  });
}

// From dr to dx and dz, where the gate comes first.
SIMD_INLINE void finishGated(const GatedNormBackward &p, int64_t at) {
  for (int64_t c = 0; c < p.width; c += kLanes) {
    const int64_t n = p.width - c;
    const Vec z = loadFirst(p.z + at + c, n), open = sigmoid(z), dr = loadFirst(p.dx + at + c, n);
    storeFirst(p.dz + at + c, dr * loadFirst(p.x + at + c, n) * siluGradient(z, open), n);
    storeFirst(p.dx + at + c, dr * (z * open), n);
  }
}

// dz where the gate comes last.
SIMD_INLINE void gateGradient(const GatedNormBackward &p, int64_t at, const float *weight, RowScale scale) {
  for (int64_t c = 0; c < p.width; c += kLanes) {
    const int64_t n = p.width - c;
    const Vec z = loadFirst(p.z + at + c, n), hat = loadFirst(p.x + at + c, n) * scale.factor * scale.inverse;
    storeFirst(p.dz + at + c, loadFirst(p.dy + at + c, n) * (hat * loadFirst(weight + c, n)) * siluGradient(z, sigmoid(z)), n);
  }
}

}  // namespace

void gatedRmsNorm(const GatedNormForward &p) {
  forGroups(p, [&](int64_t at, int64_t channel, int64_t) {
    float *y = p.y + at;
    const float *r = p.x + at, *weight = p.weight + channel;
    if (gatesInput(p)) gateRow(y, r, p.z + at, p.width), r = y;
    normalizeRow(r, weight, y, p.width, p.epsilon);
    if (gatesResult(p)) gateRow(y, y, p.z + at, p.width);
  });
}

void gatedRmsNormGrad(const GatedNormBackward &p) {
  const int64_t channels = p.groups * p.width, blocks = (p.rows / p.groups + kRows - 1) / kRows;
  Scratch scratch(blocks * channels);
  float *partial = scratch.take(blocks * channels);
  std::memset(partial, 0, blocks * channels * sizeof(float));
  forGroups(p, [&](int64_t at, int64_t channel, int64_t block) {
    Scratch row(p.width);
    float *gated = row.take(p.width);  // x or dy, whichever the gate multiplies
    if (p.z) gateRow(gated, (gatesInput(p) ? p.x : p.dy) + at, p.z + at, p.width);
    const float *r = gatesInput(p) ? gated : p.x + at, *dy = gatesResult(p) ? gated : p.dy + at;
    const float *weight = p.weight + channel;
    const RowScale scale = normRowGrad({p.width, p.epsilon, weight}, r, dy, nullptr, p.dx + at,
                                       partial + block * channels + channel);
    if (gatesInput(p)) finishGated(p, at);
    if (gatesResult(p)) gateGradient(p, at, weight, scale);
  });
  addSlices(p.dWeight, partial, blocks, channels);
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
