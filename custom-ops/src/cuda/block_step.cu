// One token through a whole block, in four launches: norm and in_proj; conv and x_proj; dt_proj, state update and gate;
// out_proj and the residual sum. A token's arithmetic is nothing beside the reading of the weights, so small things are
// done again by every thread that needs them, while its weights are on their way, rather than by a launch of their own.
#include "launch.h"
#include "matvec.cuh"
#include "row_scale.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

int64_t splitsOf(const BlockStep &p) { return (p.inner + kProductSlices - 1) / kProductSlices; }

// What passes from launch to launch: xz [B,2*inner], u [B,inner], y [B,inner], and [splits,B,rank+2N] the parts of dt,
// B and C that so many stretches of u give.
struct Passing {
  float *xz, *u, *y, *dbc;
  int64_t splits;

  Passing(const BlockStep &p, float *workspace) : splits(splitsOf(p)) {
    xz = workspace, u = xz + p.batch * 2 * p.inner, y = u + p.batch * p.inner, dbc = y + p.batch * p.inner;
  }
};

// The rows of the batch that the block at blockIdx.y works on.
struct Rows {
  int64_t first, count;

  __device__ explicit Rows(const BlockStep &p)
      : first(static_cast<int64_t>(blockIdx.y) * kProductRows),
        count(min(p.batch - first, static_cast<int64_t>(kProductRows))) {}
};

// The product is of x and the norm's weight; what x is divided by comes out of the sum.
template <typename T, int V>
__global__ void __launch_bounds__(kProductThreads) inProjKernel(BlockStep p, const T *inProj, Passing at) {
  __shared__ float factor[kProductRows], inverse[kProductRows];
  const Rows rows(p);
  const float *x = p.x + rows.first * p.model;
  for (int64_t r = 0; r < rows.count; ++r) {
    const auto squares = [&](float by) {
      float sum = 0;
      for (int64_t c = threadIdx.x; c < p.model; c += kProductThreads) {
        const float each = x[r * p.model + c] * by;
        sum += each * each;
      }
      return sum;
    };
    const RowScale<float> scale(squares(1), p.model, p.epsilon, squares);
    if (threadIdx.x == 0) factor[r] = scale.factor, inverse[r] = scale.inverse;
  }
  __syncthreads();
  const int64_t out = 2 * p.inner;
  product<V>([&](int row, int64_t i) { return x[row * p.model + i] * factor[row] * p.norm[i]; }, inProj, rows.count, 0, p.model, out,
             [&](int64_t row, int64_t column, float sum) {
               sum *= inverse[row];
               at.xz[(rows.first + row) * out + column] = p.inBias ? sum + p.inBias[column] : sum;
             });
}

// A thread has one channel of the convolution, the first blocks keep it.
template <typename T, int V>
__global__ void __launch_bounds__(kProductThreads) xProjKernel(BlockStep p, const T *xProj, Passing at) {
  const Rows rows(p);
  const int64_t D = p.inner, back = p.taps - 1, wide = p.rank + 2 * p.states;
  const int64_t begin = static_cast<int64_t>(blockIdx.z) * kProductSlices;
  const auto convolve = [&](int row, int64_t c) {
    const int64_t b = rows.first + row;
    const float x = at.xz[b * 2 * D + c], *weight = p.conv + c * p.taps, *state = p.convState + b * back * D + c;
    float sum = (p.convBias ? p.convBias[c] : 0.0f) + weight[back] * x;
    for (int64_t k = 0; k < back; ++k) sum += weight[k] * state[k * D];
    sum = silu(sum);
    if (blockIdx.x == 0 && threadIdx.x % kProductLanes == 0) {
      at.u[b * D + c] = sum;
      float *next = p.newConvState + b * back * D + c;
      for (int64_t k = 0; k < back; ++k) next[k * D] = k + 1 < back ? state[(k + 1) * D] : x;
    }
    return sum;
  };
  product<V>(convolve, xProj, rows.count, begin, min(begin + kProductSlices, D), wide,
             [&](int64_t row, int64_t column, float sum) {
               at.dbc[(blockIdx.z * p.batch + rows.first + row) * wide + column] = sum;
             });
}

constexpr int kStepThreads = 128, kLanes = 8, kStepChannels = kStepThreads / kLanes;

// In place, by all threads of the block; each keeps to elements of its own.
__device__ inline void normalize(float *row, int64_t width, float epsilon) {
  const auto squares = [&](float by) {
    float sum = 0;
    for (int64_t i = threadIdx.x; i < width; i += kStepThreads) sum += (row[i] * by) * (row[i] * by);
    return sum;
  };
  const RowScale<float> scale(squares(1), width, epsilon, squares);
  for (int64_t i = threadIdx.x; i < width; i += kStepThreads) row[i] = scale(row[i]);
}

// Eight lanes to a channel share out the terms of dt_proj, then the states.
template <typename T>
__global__ void __launch_bounds__(kStepThreads) stateKernel(BlockStep p, const T *dtProj, Passing at) {
  extern __shared__ float dbc[];  // dt, B and C
  const int lane = threadIdx.x % kLanes;
  const int64_t d = static_cast<int64_t>(blockIdx.x) * kStepChannels + threadIdx.x / kLanes, b = blockIdx.y;
  const int64_t wide = p.rank + 2 * p.states, row = b * p.inner + d;
  const bool real = d < p.inner;  // the others take part in the shuffles
  for (int64_t i = threadIdx.x; i < wide; i += kStepThreads) {
    float sum = 0;
#pragma unroll 8
    for (int64_t s = 0; s < at.splits; ++s) sum += at.dbc[(s * p.batch + b) * wide + i];
    dbc[i] = sum;
  }
  __syncthreads();
  float *B = dbc + p.rank, *C = B + p.states;
  if (p.mixerEpsilon > 0) {
    normalize(dbc, p.rank, p.mixerEpsilon);
    normalize(B, p.states, p.mixerEpsilon);
    normalize(C, p.states, p.mixerEpsilon);
    __syncthreads();
  }
  const auto sumLanes = [](float x) {
    for (int mask = 1; mask < kLanes; mask *= 2) x += __shfl_xor_sync(kFullWarp, x, mask);
    return x;
  };
  float delta = 0;
  if (real) {
#pragma unroll 4
    for (int64_t i = lane; i < p.rank; i += kLanes) delta += dbc[i] * static_cast<float>(dtProj[i * p.inner + d]);
  }
  delta = sumLanes(delta);
  float u = 0, y = 0;
  if (real) {
    delta = softplus(delta + p.dtBias[d]), u = at.u[row];
    for (int64_t n = lane; n < p.states; n += kLanes) {
      const float A2 = -exp2Fast(p.ALog[d * p.states + n] * kLog2e) * kLog2e;
      const float next = exp2Fast(delta * A2) * p.ssmState[row * p.states + n] + delta * u * B[n];
      p.newSsmState[row * p.states + n] = next;
      y += next * C[n];
    }
  }
  y = sumLanes(y);
  if (real && lane == 0) at.y[row] = (y + p.D[d] * u) * silu(at.xz[b * 2 * p.inner + p.inner + d]);
}

template <typename T, int V>
__global__ void __launch_bounds__(kProductThreads) outProjKernel(BlockStep p, const T *outProj, Passing at) {
  const Rows rows(p);
  const float *y = at.y + rows.first * p.inner;
  product<V>([&](int row, int64_t i) { return y[row * p.inner + i]; }, outProj, rows.count, 0, p.inner, p.model,
             [&](int64_t row, int64_t column, float sum) {
               const int64_t i = (rows.first + row) * p.model + column;
               p.y[i] = sum + (p.outBias ? p.outBias[column] : 0.0f) + p.x[i];
             });
}

}  // namespace

size_t blockStepWorkspace(const BlockStep &p) {
  return static_cast<size_t>(p.batch * (4 * p.inner + splitsOf(p) * (p.rank + 2 * p.states)));
}

const char *launchBlockStep(const BlockStep &p, float *workspace, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  const Passing at(p, workspace);
  const int64_t wide = p.rank + 2 * p.states;
  const auto product = [&](auto four, auto one, const float *weight, int64_t out, int64_t splits) {
    const bool fours = inFours(out, weight);
    const dim3 blocks(blocksFor(out, fours ? kProductColumns<4> : kProductColumns<1>), blocksFor(p.batch, kProductRows),
                      static_cast<unsigned>(splits));
    fours ? four<<<blocks, kProductThreads, 0, stream>>>(p, weight, at)
          : one<<<blocks, kProductThreads, 0, stream>>>(p, weight, at);
  };
  product(inProjKernel<float, 4>, inProjKernel<float, 1>, p.inProj.floats, 2 * p.inner, 1);
  product(xProjKernel<float, 4>, xProjKernel<float, 1>, p.xProj.floats, wide, at.splits);
  const dim3 blocks(blocksFor(p.inner, kStepChannels), static_cast<unsigned>(p.batch));
  stateKernel<float><<<blocks, kStepThreads, wide * sizeof(float), stream>>>(p, p.dtProj.floats, at);
  product(outProjKernel<float, 4>, outProjKernel<float, 1>, p.outProj.floats, p.model, 1);
  return lastError();
}

}  // namespace cuda
}  // namespace tfjs_mamba
