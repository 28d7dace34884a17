// The kernels of root-mean-square norms, for rows that are made as they are read. Bound by memory; a block takes whole rows, and
// what it reads a second time is in its cache.
//
// A `Rows` is what there is to normalise: `count` rows of each of `groups` groups, `width` wide, with `weight` [groups,width] and
// `epsilon`; its member `Row`, made from it, a row and a group, reads and writes V neighbours from column c on:
//   forward:  sum(c), what to normalise, asked for once, then r(c), the same again, and write(c, y)
//   backward: r(c), dy(c), and write(c, dr, hat), with hat = r / sqrt(mean(r^2) + epsilon)
#pragma once

#include <algorithm>

#include "row_scale.cuh"

namespace tfjs_mamba {
namespace cuda {

constexpr int kNormThreads = 256;
constexpr int64_t kNarrow = 16;
constexpr int kSharedFloats = 12 * 1024;  // what a block may have without asking

template <typename Rows, int V>
__global__ void __launch_bounds__(kNormThreads) normKernel(Rows rows) {
  typename Rows::template Row<V> row(rows, blockIdx.x / rows.groups, blockIdx.x % rows.groups);
  const float *weight = rows.weight + blockIdx.x % rows.groups * rows.width;
  const auto columns = [&](const auto &f) {
    for (int64_t c = threadIdx.x * V; c < rows.width; c += kNormThreads * V) f(c);
  };
  float first = 0;
  columns([&](int64_t c) {
    const Few<V> r = row.sum(c);
#pragma unroll
    for (int i = 0; i < V; ++i) first += r[i] * r[i];
  });
  const RowScale<float> scale(first, rows.width, rows.epsilon, [&](float factor) {
    float squares = 0;
    columns([&](int64_t c) {
      const Few<V> r = row.r(c);
#pragma unroll
      for (int i = 0; i < V; ++i) squares += (r[i] * factor) * (r[i] * factor);
    });
    return squares;
  });
  columns([&](int64_t c) {
    Few<V> r = row.r(c);
    const Few<V> w = read<V>(weight + c);
#pragma unroll
    for (int i = 0; i < V; ++i) r[i] = scale(r[i]) * w[i];
    row.write(c, r);
  });
}

// Rows blockIdx.x, blockIdx.x + gridDim.x, ... of group blockIdx.y and their sum for the weight's gradient, in shared memory or, if
// the row is too wide for that, at its place in `partial` [blocks,groups,width]. Sum is double for a few channels: dr is what of g =
// dy * weight is not along r, and when there is little else than that, the float32 difference is noise.
template <typename Rows, typename Sum, int V>
__global__ void __launch_bounds__(kNormThreads) normGradKernel(Rows rows, float *partial) {
  extern __shared__ float4 memory[];
  partial += (static_cast<int64_t>(blockIdx.x) * rows.groups + blockIdx.y) * rows.width;
  const bool shared = rows.width <= kSharedFloats;
  float *dWeight = shared ? reinterpret_cast<float *>(memory) : partial;
  const float *weights = rows.weight + blockIdx.y * rows.width;
  const auto columns = [&](const auto &f) {
    for (int64_t c = threadIdx.x * V; c < rows.width; c += kNormThreads * V) f(c);
  };
  columns([&](int64_t c) { write<V>(dWeight + c, Few<V>{}); });
  for (int64_t index = blockIdx.x; index < rows.count; index += gridDim.x) {
    typename Rows::template Row<V> row(rows, index, blockIdx.y);
    Sum first = 0, along = 0;
    const auto sums = [&](Sum factor) {
      first = along = 0;
      columns([&](int64_t c) {
        const Few<V> r = row.r(c), dy = row.dy(c), weight = read<V>(weights + c);
#pragma unroll
        for (int i = 0; i < V; ++i) {
          first += (r[i] * factor) * (r[i] * factor);
          along += static_cast<Sum>(dy[i]) * weight[i] * (r[i] * factor);
        }
      });
      return first;
    };
    sums(1);
    const RowScale<Sum> scale(first, rows.width, rows.epsilon, sums);
    // The mean of g times hat.
    const Sum share = blockSum(along) * scale.inverse / static_cast<Sum>(rows.width);
    columns([&](int64_t c) {
      const Few<V> r = row.r(c), dy = row.dy(c), weight = read<V>(weights + c);
      Few<V> dr, hat, sum = read<V>(dWeight + c);
#pragma unroll
      for (int i = 0; i < V; ++i) {
        const Sum each = scale(r[i]);
        hat[i] = static_cast<float>(each);
        dr[i] = static_cast<float>((static_cast<Sum>(dy[i]) * weight[i] - each * share) * scale.inverse * scale.factor);
        sum[i] += dy[i] * hat[i];
      }
      row.write(c, dr, hat);
      write<V>(dWeight + c, sum);
    });
  }
  if (!shared) return;
  columns([&](int64_t c) { write<V>(partial + c, read<V>(dWeight + c)); });
}

// Blocks to a group.
inline int64_t normGradBlocks(int64_t count, int64_t groups, int multiprocessors) {
  return std::min<int64_t>(count, (4 * multiprocessors + groups - 1) / groups);
}

template <typename Rows>
void launchNorm(const Rows &rows, bool fours, cudaStream_t stream) {
  if (rows.count == 0) return;
  const auto run = [&](auto kernel) {
    kernel<<<static_cast<unsigned>(rows.count * rows.groups), kNormThreads, 0, stream>>>(rows);
  };
  fours ? run(normKernel<Rows, 4>) : run(normKernel<Rows, 1>);
}

// The workspace is the partial sums of normGradBlocks.
template <typename Rows>
void launchNormGrad(const Rows &rows, bool fours, int multiprocessors, float *workspace, float *dWeight, cudaStream_t stream) {
  const int64_t blocks = normGradBlocks(rows.count, rows.groups, multiprocessors);
  const size_t bytes = rows.width <= kSharedFloats ? rows.width * sizeof(float) : 0;
  const auto run = [&](auto kernel) {
    kernel<<<dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(rows.groups)), kNormThreads, bytes, stream>>>(rows,
                                                                                                                     workspace);
  };
  if (blocks == 0)
    ;  // the weight's gradient is zero
  else if (rows.width <= kNarrow)
    run(normGradKernel<Rows, double, 1>);
  else
    fours ? run(normGradKernel<Rows, float, 4>) : run(normGradKernel<Rows, float, 1>);
  addSlices(dWeight, workspace, blocks, 1, rows.groups * rows.width, stream);
}

}  // namespace cuda
}  // namespace tfjs_mamba
