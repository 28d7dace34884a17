// AdamW (Loshchilov & Hutter, arXiv 1711.05101) over a whole list of variables, and the norm of such a list. Seven
// floats go through memory for each weight and nothing else matters. A list travels as the kernel's argument, as many
// tensors to a launch as fit in it: no copy of a table, nothing that outlives the launch.
#include <algorithm>

#include "launch.h"
#include "reduce.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kPiece = 16 * kThreads;  // elements of a block
constexpr int kTensors = 40;               // 4 KB of arguments, the limit up to CUDA 12.0

int64_t piecesOf(int64_t size) { return (size + kPiece - 1) / kPiece; }

template <typename Tensor>
struct List {
  int count;
  uint32_t firstBlock[kTensors + 1];
  Tensor tensors[kTensors];

  // The tensor of this block, and where in it the block begins.
  __device__ const Tensor &find(int64_t *begin) const {
    int i = 0;
    while (blockIdx.x >= firstBlock[i + 1]) ++i;
    *begin = static_cast<int64_t>(blockIdx.x - firstBlock[i]) * kPiece;
    return tensors[i];
  }
};

// Calls launch(list, blocks) until all tensors have had their turn.
template <typename Tensor, typename Launch>
void inLists(const Tensor *tensors, int64_t count, const Launch &launch) {
  for (int64_t i = 0; i < count;) {
    List<Tensor> list{};
    for (; i < count && list.count < kTensors; ++i) {
      list.tensors[list.count] = tensors[i];
      list.firstBlock[list.count + 1] = list.firstBlock[list.count] + static_cast<uint32_t>(piecesOf(tensors[i].size));
      ++list.count;
    }
    const unsigned blocks = list.firstBlock[list.count];
    if (blocks > 0) launch(list, blocks);
  }
}

template <int V>
__device__ inline void update(const AdamWProblem &p, const AdamWTensor &t, int64_t i, float gradScale) {
  Few<V> param = read<V>(t.param + i), grad = read<V>(t.grad + i), m = read<V>(t.m + i), v = read<V>(t.v + i);
#pragma unroll
  for (int k = 0; k < V; ++k) {
    const float g = grad[k] * gradScale;
    m[k] = m[k] * p.beta1 + g * p.rest1;
    v[k] = v[k] * p.beta2 + g * g * p.rest2;
    param[k] = param[k] * t.kept - p.stepSize * m[k] / (sqrtf(v[k]) * p.rootScale + p.epsilon);
  }
  write<V>(t.newParam + i, param);
  write<V>(t.newM + i, m);
  write<V>(t.newV + i, v);
}

__device__ inline bool aligned(const void *pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

__global__ void __launch_bounds__(kThreads)
    adamWKernel(AdamWProblem p, const __grid_constant__ List<AdamWTensor> list, const float *gradScale) {
  int64_t begin;
  const AdamWTensor &t = list.find(&begin);
  const int64_t end = min(begin + kPiece, t.size);
  const float scale = *gradScale;
  const bool fours = aligned(t.param) && aligned(t.grad) && aligned(t.m) && aligned(t.v) && aligned(t.newParam) &&
                     aligned(t.newM) && aligned(t.newV);
  const int64_t whole = fours ? end - (end - begin) % 4 : begin;
#pragma unroll 2
  for (int64_t i = begin + threadIdx.x * 4; i < whole; i += kThreads * 4) update<4>(p, t, i, scale);
  for (int64_t i = whole + threadIdx.x; i < end; i += kThreads) update<1>(p, t, i, scale);
}

__global__ void __launch_bounds__(kThreads) squaresKernel(const __grid_constant__ List<NormTensor> list, double *sums) {
  int64_t begin;
  const NormTensor &t = list.find(&begin);
  const int64_t end = min(begin + kPiece, t.size);
  const int64_t whole = aligned(t.values) ? end - (end - begin) % 4 : begin;
  float squares = 0;
#pragma unroll 2
  for (int64_t i = begin + threadIdx.x * 4; i < whole; i += kThreads * 4) {
    const Few<4> v = read<4>(t.values + i);
    squares += (v[0] * v[0] + v[1] * v[1]) + (v[2] * v[2] + v[3] * v[3]);
  }
  for (int64_t i = whole + threadIdx.x; i < end; i += kThreads) squares += t.values[i] * t.values[i];
  const double sum = blockSum(static_cast<double>(squares));
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(1024) rootKernel(float *norm, const double *sums, int64_t count) {
  double sum = 0;
#pragma unroll 8
  for (int64_t i = threadIdx.x; i < count; i += 1024) sum += sums[i];
  sum = blockSum(sum);
  if (threadIdx.x == 0) *norm = static_cast<float>(sqrt(sum));
}

int64_t allPieces(const GlobalNorm &p) {
  int64_t pieces = 0;
  for (int64_t i = 0; i < p.count; ++i) pieces += piecesOf(p.tensors[i].size);
  return pieces;
}

}  // namespace

const char *launchAdamW(const AdamWProblem &p, const float *gradScale, void *stream) {
  inLists(p.tensors, p.count, [&](const List<AdamWTensor> &list, unsigned blocks) {
    adamWKernel<<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(p, list, gradScale);
  });
  return lastError();
}

size_t globalNormWorkspace(const GlobalNorm &p) { return static_cast<size_t>(2 * allPieces(p)); }

const char *launchGlobalNorm(const GlobalNorm &p, float *workspace, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  double *sums = reinterpret_cast<double *>(workspace);
  int64_t done = 0;
  inLists(p.tensors, p.count, [&](const List<NormTensor> &list, unsigned blocks) {
    squaresKernel<<<blocks, kThreads, 0, stream>>>(list, sums + done);
    done += blocks;
  });
  rootKernel<<<1, 1024, 0, stream>>>(p.norm, sums, done);
  return lastError();
}

}  // namespace cuda
}  // namespace tfjs_mamba
