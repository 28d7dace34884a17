// The gated root-mean-square norm at the end of a Mamba-2 mixer, forward and backward: r = x silu(z) normed, or x normed and then
// times silu(z); see norm_rows.cuh.
#include "launch.h"
#include "norm_rows.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

// P is the problem of either direction.
template <typename P>
struct GatedRows {
  P p;
  int64_t count, width, groups;
  const float *weight;
  float epsilon;

  explicit GatedRows(const P &p)
      : p(p), count(p.rows / p.groups), width(p.width), groups(p.groups), weight(p.weight), epsilon(p.epsilon) {}

  template <int V>
  struct GatedRow {
    const GatedRows &rows;
    int64_t begin;

    __device__ GatedRow(const GatedRows &rows, int64_t row, int64_t group)
        : rows(rows), begin((row * rows.groups + group) * rows.width) {}
    __device__ bool gatesInput() const { return rows.p.z && !rows.p.normBeforeGate; }
    __device__ bool gatesResult() const { return rows.p.z && rows.p.normBeforeGate; }
    // f(v, z), where there is a gate here; v otherwise.
    template <typename F>
    __device__ Few<V> gated(bool here, Few<V> v, int64_t c, const F &f) const {
      if (!here) return v;
      const Few<V> z = read<V>(rows.p.z + begin + c);
#pragma unroll
      for (int i = 0; i < V; ++i) v[i] = f(v[i], z[i]);
      return v;
    }
    __device__ static float open(float v, float z) { return v * silu(z); }
    __device__ Few<V> r(int64_t c) const { return gated(gatesInput(), read<V>(rows.p.x + begin + c), c, open); }
  };
};

struct ForwardRows : GatedRows<GatedNormForward> {
  using GatedRows::GatedRows;

  template <int V>
  struct Row : GatedRow<V> {
    using GatedRow<V>::GatedRow;
    __device__ Few<V> sum(int64_t c) const { return this->r(c); }
    __device__ void write(int64_t c, const Few<V> &y) const {
      cuda::write<V>(this->rows.p.y + this->begin + c, this->gated(this->gatesResult(), y, c, this->open));
    }
  };
};

struct BackwardRows : GatedRows<GatedNormBackward> {
  using GatedRows::GatedRows;

  template <int V>
  struct Row : GatedRow<V> {
    using GatedRow<V>::GatedRow;
    __device__ Few<V> dy(int64_t c) const {
      return this->gated(this->gatesResult(), read<V>(this->rows.p.dy + this->begin + c), c, this->open);
    }
    __device__ void write(int64_t c, const Few<V> &dr, const Few<V> &hat) const {
      const GatedNormBackward &p = this->rows.p;
      const int64_t at = this->begin + c;
      cuda::write<V>(p.dx + at, this->gated(this->gatesInput(), dr, c, this->open));
      if (!p.z) return;
      Few<V> dz;
      if (this->gatesInput()) {
        const Few<V> x = read<V>(p.x + at);
#pragma unroll
        for (int i = 0; i < V; ++i) dz[i] = dr[i] * x[i];
      } else {
        const Few<V> dy = read<V>(p.dy + at), weight = read<V>(p.weight + at % (p.groups * p.width));
#pragma unroll
        for (int i = 0; i < V; ++i) dz[i] = dy[i] * (hat[i] * weight[i]);
      }
      cuda::write<V>(p.dz + at, this->gated(true, dz, c, [](float v, float z) { return v * siluGradient(z); }));
    }
  };
};

}  // namespace

const char *launchGatedRmsNorm(const GatedNormForward &p, void *stream) {
  launchNorm(ForwardRows(p), inFours(p.width, p.x, p.weight, p.z, p.y), static_cast<cudaStream_t>(stream));
  return lastError();
}

size_t gatedRmsNormGradWorkspace(const GatedNormProblem &p, int multiprocessors) {
  return static_cast<size_t>(normGradBlocks(p.rows / p.groups, p.groups, multiprocessors) * p.groups * p.width);
}

const char *launchGatedRmsNormGrad(const GatedNormBackward &p, int multiprocessors, float *workspace, void *stream) {
  const bool fours = inFours(p.width, p.x, p.weight, p.z, p.dy, p.dx, p.dz, workspace);
  launchNormGrad(BackwardRows(p), fours, multiprocessors, workspace, p.dWeight, static_cast<cudaStream_t>(stream));
  return lastError();
}

}  // namespace cuda
}  // namespace tfjs_mamba
