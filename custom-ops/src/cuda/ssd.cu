// Mamba-2's scan, forward: the sums of chunks, the states they start from, and their outputs; see ssd.cuh. The first two also
// serve the backward scan.
#include "ssd.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

// One block to a chunk and group for the products of C and B, then one to a chunk, head and tile for what it adds to the state:
// sum_t e_t (delta u)_t B_t, with the decay e to the chunk's end; backward sum_t f_t g_t C_t, with f from its start.
template <bool kBackward>
__global__ void __launch_bounds__(kThreads, kBlocks)
    sumsKernel(SsdProblem p, const float *dy, ChunkSums to, int64_t productBlocks, int tilesP, int tilesN) {
  __shared__ Room room;
  __shared__ Steps s;
  Tile tile;
  if (blockIdx.x < productBlocks) {
    const Site at(p, blockIdx.x / p.groups, static_cast<int>(blockIdx.x % p.groups));
    multiply<Along::sum, Along::sum>(
        tile, room, p.states, [&](int i, int n) { return at.projection(p, p.C, i, n); },
        [&](int j, int n) { return at.projection(p, p.B, j, n); });
    float *products = to.products + blockIdx.x * static_cast<int64_t>(kPositions * kPositions);
    tile.each([&](float x, int i, int j) { products[i * kPositions + j] = x; });
    return;
  }
  const int64_t index = blockIdx.x - productBlocks;
  const int tileN = static_cast<int>(index % tilesN) * kSide, tileP = static_cast<int>(index / tilesN % tilesP) * kSide;
  const Site at = Site::ofHead(p, index / tilesN / tilesP);
  s.enter(p, at);
  multiply<Along::side, Along::side>(
      tile, room, at.steps,
      [&](int c, int t) {
        return kBackward ? s.fromStart[t] * ungated(p, dy, at, t, tileP + c)
                         : s.toEnd[t] * s.step[t] * at.u(p, t, tileP + c);
      },
      [&](int n, int t) { return at.projection(p, kBackward ? p.C : p.B, t, tileN + n); });
  float *states = to.states + (at.chunk * p.heads + at.head) * p.headDim * p.states;
  tile.each([&](float x, int c, int n) {
    if (tileP + c < p.headDim && tileN + n < p.states) states[(tileP + c) * p.states + tileN + n] = x;
  });
  if (tileP == 0 && tileN == 0 && threadIdx.x == 0) to.whole[at.chunk * p.heads + at.head] = s.whole();
}

template <int V, bool kBackward>
__global__ void __launch_bounds__(kThreads)
    carryKernel(SsdProblem p, int64_t chunks, float *states, const float *whole, const float *first, float *last) {
  const int64_t size = stateSize(p), i = (blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x) * V;
  if (i >= p.batch * size) return;
  const int64_t b = i / size, at = i % size, head = at / (p.headDim * p.states);
  Few<V> state{};
  if (first) state = read<V>(first + i);
  constexpr int kAtOnce = 8;  // loads that are under way together
  for (int64_t c0 = 0; c0 < chunks; c0 += kAtOnce) {
    Few<V> own[kAtOnce];
    float decay[kAtOnce];
    const auto chunk = [&](int k) { return b * chunks + (kBackward ? chunks - 1 - c0 - k : c0 + k); };
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      if (c0 + k >= chunks) break;
      own[k] = read<V>(states + chunk(k) * size + at);
      decay[k] = whole[chunk(k) * p.heads + head];
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      if (c0 + k >= chunks) break;
      write<V>(states + chunk(k) * size + at, state);
#pragma unroll
      for (int v = 0; v < V; ++v) state[v] = decay[k] * state[v] + own[k][v];
    }
  }
  if (last) write<V>(last + i, state);
}

__global__ void __launch_bounds__(kThreads, kBlocks)
    outputKernel(SsdForward p, const float *products, const float *states, int tilesP) {
  __shared__ Room room;
  __shared__ Steps s;
  const int tileP = static_cast<int>(blockIdx.x % tilesP) * kSide;
  const Site at = Site::ofHead(p, blockIdx.x / tilesP);
  const float *pairs = at.products(p, products);
  s.enter(p, at);
  Tile tile;
  multiply<Along::sum, Along::sum>(
      tile, room, p.states, [&](int t, int n) { return at.projection(p, p.C, t, n); },
      [&](int c, int n) { return at.state(p, states, tileP + c, n); });
  tile.each([&](float &x, int t, int) { x *= s.fromStart[t]; });
  multiply<Along::sum, Along::side>(
      tile, room, at.steps, [&](int i, int j) { return s.mixed(i, j, pairs); },
      [&](int c, int j) { return s.step[j] * at.u(p, j, tileP + c); });
  tile.each([&](float y, int t, int c) {
    c += tileP;
    if (t >= at.steps || c >= p.headDim) return;
    const int64_t i = at.channel(p, t, c);
    if (p.D) y += skipOf(p, at.head, c) * p.u[i];
    p.y[i] = p.z ? y * silu(p.z[i]) : y;
  });
}

}  // namespace

void launchChunkSums(const SsdProblem &p, const float *dy, const ChunkSums &to, cudaStream_t stream) {
  const int64_t products = chunksOf(p) * p.groups, tilesP = tilesOf(p.headDim), tilesN = tilesOf(p.states);
  const unsigned blocks = static_cast<unsigned>(products + chunksOf(p) * p.heads * tilesP * tilesN);
  const auto run = [&](auto kernel) {
    kernel<<<blocks, kThreads, 0, stream>>>(p, dy, to, products, static_cast<int>(tilesP), static_cast<int>(tilesN));
  };
  dy ? run(sumsKernel<true>) : run(sumsKernel<false>);
}

void launchCarry(const SsdProblem &p, bool backward, float *states, const float *whole, const float *first, float *last,
                 cudaStream_t stream) {
  const auto run = [&](auto kernel, int v) {
    kernel<<<blocksFor(p.batch * stateSize(p), kThreads * v), kThreads, 0, stream>>>(p, ssdChunkCount(p.length), states, whole,
                                                                                     first, last);
  };
  if (inFours(p.headDim * p.states, states, first, last))
    backward ? run(carryKernel<4, true>, 4) : run(carryKernel<4, false>, 4);
  else
    backward ? run(carryKernel<1, true>, 1) : run(carryKernel<1, false>, 1);
}

size_t ssdStatesSize(const SsdProblem &p) { return chunksOf(p) * stateSize(p); }

size_t ssdWorkspace(const SsdForward &p) {
  return productsSize(p) + wholeSize(p) + (p.chunkStates ? 0 : ssdStatesSize(p));
}

const char *launchSsd(const SsdForward &p, float *workspace, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  // The states first: where they begin, four floats lie together.
  ChunkSums sums;
  sums.states = p.chunkStates ? p.chunkStates : workspace;
  sums.products = p.chunkStates ? workspace : workspace + ssdStatesSize(p);
  sums.whole = sums.products + productsSize(p);
  launchChunkSums(p, nullptr, sums, stream);
  launchCarry(p, false, sums.states, sums.whole, p.initialState, p.finalState, stream);
  const int64_t tilesP = tilesOf(p.headDim);
  outputKernel<<<static_cast<unsigned>(chunksOf(p) * p.heads * tilesP), kThreads, 0, stream>>>(
      p, sums.products, sums.states, static_cast<int>(tilesP));
  return lastError();
}

}  // namespace cuda
}  // namespace tfjs_mamba
