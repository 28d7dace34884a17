// A tile of a product of matrices, for a block: float32 on the ordinary units, as the matrix units would keep 11 bits of a number.
// Operands are functions of a row or column and a place in the sum, so that what they are made of never lies in memory.
#pragma once

#include "reduce.cuh"

namespace tfjs_mamba {
namespace cuda {

constexpr int kThreads = 256, kSide = 64, kEach = 4, kDepth = 16;  // a tile: kSide x kSide, kEach x kEach a thread
constexpr int kBlocks = 3;  // to a multiprocessor, by fewer registers than the compiler would take: fastest of 1 to 4

// A thread's part of a tile: kEach rows from row() on, kEach columns from column() on.
struct Tile {
  float v[kEach][kEach] = {};

  __device__ static int row() { return threadIdx.x / (kSide / kEach) * kEach; }
  __device__ static int column() { return threadIdx.x % (kSide / kEach) * kEach; }
  // f(element, row, column) of each.
  template <typename F>
  __device__ void each(const F &f) {
#pragma unroll
    for (int r = 0; r < kEach; ++r)
#pragma unroll
      for (int c = 0; c < kEach; ++c) f(v[r][c], row() + r, column() + c);
  }
};

// Sums over the columns of a row: of a thread's own in, of all its row's threads out.
__device__ inline float rowSum(float own) {
#pragma unroll
  for (int mask = kSide / kEach / 2; mask > 0; mask /= 2) own += __shfl_xor_sync(kFullWarp, own, mask);
  return own;
}

struct alignas(16) Room {
  float left[kDepth][kSide + 4], right[kDepth][kSide + 4];
};

// Which index of an operand runs over neighbours in memory: that of the sum, or its row or column.
enum class Along { sum, side };

// What a thread brings of kDepth x kSide elements of an operand.
template <Along kAlong>
struct Bringing {
  static constexpr int kCount = kDepth * kSide / kThreads;
  float v[kCount];

  __device__ static int k(int i) {
    const int at = threadIdx.x + i * kThreads;
    return kAlong == Along::sum ? at % kDepth : at / kSide;
  }
  __device__ static int side(int i) {
    const int at = threadIdx.x + i * kThreads;
    return kAlong == Along::sum ? at / kDepth : at % kSide;
  }
  template <typename Get>
  __device__ void fetch(const Get &get, int k0) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) v[i] = get(side(i), k0 + k(i));
  }
  __device__ void put(float (&to)[kDepth][kSide + 4]) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) to[k(i)][side(i)] = v[i];
  }
};

// tile += the sum over k < depth of left(row, k) right(column, k), which must give zero for a k past the end. All threads of the
// block must call it.
template <Along kLeft, Along kRight, typename Left, typename Right>
__device__ inline void multiply(Tile &tile, Room &room, int64_t depth, const Left &left, const Right &right) {
  Bringing<kLeft> a;
  Bringing<kRight> b;
  a.fetch(left, 0), b.fetch(right, 0);
  for (int k0 = 0; k0 < depth; k0 += kDepth) {
    __syncthreads();
    a.put(room.left), b.put(room.right);
    __syncthreads();
    if (k0 + kDepth < depth) a.fetch(left, k0 + kDepth), b.fetch(right, k0 + kDepth);  // on their way meanwhile
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
      const Few<kEach> l = read<kEach>(&room.left[k][Tile::row()]), r = read<kEach>(&room.right[k][Tile::column()]);
#pragma unroll
      for (int i = 0; i < kEach; ++i)
#pragma unroll
        for (int j = 0; j < kEach; ++j) tile.v[i][j] += l[i] * r[j];
    }
  }
}

}  // namespace cuda
}  // namespace tfjs_mamba
