// RMS normalisation, forward and backward: r = x + residual, y = r / sqrt(mean(r^2) + epsilon) * weight; see norm_rows.cuh.
#include "launch.h"
#include "norm_rows.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

template <typename Problem>
struct PlainRows {
  Problem p;
  int64_t count, width, groups = 1;
  const float *weight;
  float epsilon;

  explicit PlainRows(const Problem &p) : p(p), count(p.rows), width(p.width), weight(p.weight), epsilon(p.epsilon) {}
};

template <typename T>
struct ForwardRows : PlainRows<NormForward> {
  using PlainRows::PlainRows;

  template <int V>
  struct Row {
    const T *x;
    const float *residual;
    float *kept;
    T *y;

    __device__ Row(const ForwardRows &rows, int64_t row, int64_t) {
      const int64_t begin = row * rows.width;
      x = rows.p.x + begin, y = rows.p.y + begin;
      residual = rows.p.residual ? rows.p.residual + begin : nullptr;
      kept = rows.p.sum + begin;
    }
    __device__ Few<V> sum(int64_t c) const {
      Few<V> r = read<V>(x + c);
      if (!residual) return r;
      const Few<V> more = read<V>(residual + c);
#pragma unroll
      for (int i = 0; i < V; ++i) r[i] += more[i];
      cuda::write<V>(kept + c, r);
      return r;
    }
    __device__ Few<V> r(int64_t c) const { return residual ? read<V>(kept + c) : read<V>(x + c); }
    __device__ void write(int64_t c, const Few<V> &to) const { cuda::write<V>(y + c, to); }
  };
};

template <typename T>
struct BackwardRows : PlainRows<NormBackward> {
  using PlainRows::PlainRows;

  template <int V>
  struct Row {
    const T *rs, *dys;
    const float *dSum;
    T *dr;

    __device__ Row(const BackwardRows &rows, int64_t row, int64_t) {
      const int64_t begin = row * rows.width;
      rs = rows.p.r + begin, dys = rows.p.dy + begin, dr = rows.p.dr + begin;
      dSum = rows.p.dSum ? rows.p.dSum + begin : nullptr;
    }
    __device__ Few<V> r(int64_t c) const { return read<V>(rs + c); }
    __device__ Few<V> dy(int64_t c) const { return read<V>(dys + c); }
    __device__ void write(int64_t c, Few<V> to, const Few<V> &) const {
      if (dSum) {
        const Few<V> more = read<V>(dSum + c);
#pragma unroll
        for (int i = 0; i < V; ++i) to[i] += more[i];
      }
      cuda::write<V>(dr + c, to);
    }
  };
};

}  // namespace

const char *launchRmsNorm(const NormForward &p, void *stream) {
  launchNorm(ForwardRows<float>(p), inFours(p.width, p.x, p.weight, p.residual, p.y, p.sum), static_cast<cudaStream_t>(stream));
  return lastError();
}

size_t rmsNormGradWorkspace(const NormBackward &p, int multiprocessors) {
  return static_cast<size_t>(normGradBlocks(p.rows, 1, multiprocessors) * p.width);
}

const char *launchRmsNormGrad(const NormBackward &p, int multiprocessors, float *workspace, void *stream) {
  launchNormGrad(BackwardRows<float>(p), inFours(p.width, p.r, p.weight, p.dy, p.dSum, p.dr, workspace), multiprocessors,
                 workspace, p.dWeight, static_cast<cudaStream_t>(stream));
  return lastError();
}

}  // namespace cuda
}  // namespace tfjs_mamba
