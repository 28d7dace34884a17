// Mamba-2's scan, backward; see ssd.cuh, and cpu/ssd_grad.cc for the formulas. The gradients of the states at the chunks' ends
// come first, as the states do forward. Then each chunk and head finds all but dB and dC, and the gradient of its decayed
// pairs of positions, which those two need: they are sums over heads, of a few heads in a block, then over blocks in their order.
#include "ssd.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

constexpr int kSliceHeads = 4;  // summed in one block

// What passes between the kernels. Q: positions of a chunk.
struct Passing {
  float *ends;           // [chunks,H,P,N]: the gradient of the state at each chunk's end
  float *products;       // [chunks,G,Q,Q]: C_i . B_j
  float *whole;          // [chunks,H]: decay over the chunk
  float *pairs;          // [chunks,H,Q,Q]: (g_i . x_j) times the decay from j to i
  float *dA, *dBias;     // [chunks,H], to be summed
  float *dD;             // [chunks,H,1] or [chunks,H,P], likewise
  float *dB, *dC;        // [slices,B,L,G,N], likewise; the outputs themselves where there is one slice
  int slices;
  size_t size;

  Passing(const SsdProblem &p, float *workspace) {
    slices = static_cast<int>((p.heads / p.groups + kSliceHeads - 1) / kSliceHeads);
    float *next = workspace;
    const auto take = [&](size_t floats) {
      float *taken = next;
      next += floats;
      return taken;
    };
    const size_t heads = wholeSize(p), projections = slices > 1 ? slices * p.batch * p.length * p.groups * p.states : 0;
    ends = take(ssdStatesSize(p));  // first, where four floats lie together
    products = take(productsSize(p)), whole = take(heads), pairs = take(heads * kPositions * kPositions);
    dA = take(heads), dBias = take(heads), dD = take(heads * p.skipWidth);
    dB = take(projections), dC = take(projections);
    size = next - workspace;
  }
};

struct RowSums {
  float start[kPositions];  // g . what comes of the state at the chunk's start
  float end[kPositions];    // x . what comes of the gradient of the state at its end
  float input[kPositions];  // dx . u
};

// What pairs of positions j < t <= i give to the gradient of log a_t, in the four threads from 4 t on; square[i][j] is what each
// gives, and is used up. Sums over i from the last on, of 16 rows at a time, then over j.
__device__ inline float throughPairs(float (&square)[kPositions][kPositions + 1]) {
  constexpr int kRows = kPositions * kPositions / kThreads;
  const int column = threadIdx.x % kPositions, first = threadIdx.x / kPositions * kRows;
  __syncthreads();
  float sum = 0;
  for (int i = first + kRows - 1; i >= first; --i) square[i][column] = sum += square[i][column];
  __syncthreads();
  const int t = threadIdx.x / 4;
  float total = 0;
  for (int j = threadIdx.x % 4; j < t; j += 4) {
    float rows = square[t][j];
    for (int later = (t / kRows + 1) * kRows; later < kPositions; later += kRows) rows += square[later][j];
    total += rows;
  }
  total += __shfl_xor_sync(kFullWarp, total, 1);
  return total + __shfl_xor_sync(kFullWarp, total, 2);
}

// One block to a chunk and head: all that is found within it.
__global__ void __launch_bounds__(kThreads, kBlocks) headKernel(SsdBackward p, Passing pass) {
  __shared__ Room room;
  __shared__ Steps s;
  __shared__ RowSums sums;
  __shared__ float square[kPositions][kPositions + 1], throughSteps[kPositions];
  const Site at = Site::ofHead(p, blockIdx.x);
  const float *products = at.products(p, pass.products);
  if (threadIdx.x < kPositions) sums.start[threadIdx.x] = sums.end[threadIdx.x] = sums.input[threadIdx.x] = 0;
  s.enter(p, at);
  const auto g = [&](int t, int c) { return ungated(p, p.dy, at, t, c); };
  const auto x = [&](int t, int c) { return s.step[t] * at.u(p, t, c); };
  // Adds to each row of `to` the sum of f over the tile's columns.
  const auto addRows = [&](float *to, Tile &tile, const auto &f) {
    float own[kEach] = {};
    tile.each([&](float v, int t, int c) { own[t - Tile::row()] += f(v, t, c); });
#pragma unroll
    for (int r = 0; r < kEach; ++r) {
      const float total = rowSum(own[r]);
      if (Tile::column() == 0) to[Tile::row() + r] += total;
    }
  };

  float skipSum = 0;
  for (int c0 = 0; c0 < p.headDim; c0 += kSide) {
    const auto there = [&](int t, int c) { return t < at.steps && c0 + c < p.headDim; };
    Tile y;
    multiply<Along::sum, Along::sum>(
        y, room, p.states, [&](int t, int n) { return at.projection(p, p.C, t, n); },
        [&](int c, int n) { return at.state(p, p.chunkStates, c0 + c, n); });
    y.each([&](float &v, int t, int) { v *= s.fromStart[t]; });
    addRows(sums.start, y, [&](float v, int t, int c) { return v * g(t, c0 + c); });
    if (p.z) {
      multiply<Along::sum, Along::side>(
          y, room, at.steps, [&](int i, int j) { return s.mixed(i, j, products); },
          [&](int c, int j) { return x(j, c0 + c); });
      y.each([&](float v, int t, int c) {
        if (!there(t, c)) return;
        const int64_t i = at.channel(p, t, c0 + c);
        p.dz[i] = p.dy[i] * (v + skipOf(p, at.head, c0 + c) * p.u[i]) * siluGradient(p.z[i]);
      });
    }
    Tile dx;
    multiply<Along::sum, Along::sum>(
        dx, room, p.states, [&](int t, int n) { return at.projection(p, p.B, t, n); },
        [&](int c, int n) { return at.state(p, pass.ends, c0 + c, n); });
    dx.each([&](float &v, int t, int) { v *= s.toEnd[t]; });
    addRows(sums.end, dx, [&](float v, int t, int c) { return v * x(t, c0 + c); });
    multiply<Along::side, Along::side>(
        dx, room, at.steps, [&](int j, int i) { return s.mixed(i, j, products); },
        [&](int c, int i) { return g(i, c0 + c); });
    addRows(sums.input, dx, [&](float v, int t, int c) { return v * at.u(p, t, c0 + c); });
    float skipSums[kEach] = {};  // of a column
    dx.each([&](float v, int t, int c) {
      if (!there(t, c)) return;
      const float gradient = g(t, c0 + c);
      const int64_t i = at.channel(p, t, c0 + c);
      p.du[i] = v * s.step[t] + skipOf(p, at.head, c0 + c) * gradient;
      skipSums[c - Tile::column()] += gradient * p.u[i];
    });
    if (!p.D) continue;
    if (p.skipWidth == 1) {
      for (int c = 0; c < kEach; ++c) skipSum += skipSums[c];
      continue;
    }
    __syncthreads();
    for (int c = 0; c < kEach; ++c) square[Tile::row() / kEach][Tile::column() + c] = skipSums[c];
    __syncthreads();
    const int c = threadIdx.x;
    if (c >= kSide || c0 + c >= p.headDim) continue;
    float total = 0;
    for (int r = 0; r < kSide / kEach; ++r) total += square[r][c];
    pass.dD[static_cast<int64_t>(blockIdx.x) * p.headDim + c0 + c] = total;
  }

  Tile pairs;
  multiply<Along::sum, Along::sum>(pairs, room, p.headDim, g, x);
  float *kept = pass.pairs + blockIdx.x * static_cast<int64_t>(kPositions * kPositions);
  pairs.each([&](float v, int i, int j) {
    const float decay = s.within(i, j), d = decay == 0 ? 0.0f : decay * v;
    kept[i * kPositions + j] = d;
    square[i][j] = d * products[i * kPositions + j];
  });
  const float ofPairs = throughPairs(square);
  if (threadIdx.x % 4 == 0) throughSteps[threadIdx.x / 4] = ofPairs;

  const int64_t size = p.headDim * p.states;
  const float *start = p.chunkStates + blockIdx.x * size, *end = pass.ends + blockIdx.x * size;
  float along = 0;
  for (int64_t i = threadIdx.x; i < size; i += kThreads) along += start[i] * end[i];
  along = blockSum(along) * s.whole();

  const int t = threadIdx.x;
  float ofA = 0, d = 0;
  if (t < at.steps) {
    float through = along + throughSteps[t];
    for (int later = kPositions - 1; later >= t; --later) through += sums.start[later];
    for (int before = 0; before < t; ++before) through += sums.end[before];
    ofA = s.step[t] * through;
    const float raw = s.raw[t], soft = p.softplus ? softplus(raw) : raw;
    d = sums.input[t] + through * p.A[at.head];
    if (p.softplus && raw <= 20.0f) d *= sigmoid(raw);
    if (soft < p.deltaMin || soft > p.deltaMax) d = 0;
    p.ddelta[at.position(p, t)] = d;
  }
  ofA = blockSum(ofA), d = blockSum(d), skipSum = blockSum(skipSum);
  if (t != 0) return;
  pass.dA[blockIdx.x] = ofA, pass.dBias[blockIdx.x] = d;
  if (p.D && p.skipWidth == 1) pass.dD[blockIdx.x] = skipSum;
}

// A tile of positions and states of dC = sum over heads of f g S + pairs B, or of dB = sum over heads of e x E + pairs^T C.
template <bool kC>
__device__ void projectionTile(const SsdBackward &p, const Passing &pass, Site at, int slice, int n0, Room &room, Steps &s) {
  const int group = static_cast<int>(p.heads / p.groups), first = at.head + slice * kSliceHeads;
  const int last = min(first + kSliceHeads, at.head + group);
  Tile tile;
  for (int head = first; head < last; ++head) {
    at.head = head;
    s.enter(p, at);
    multiply<Along::sum, Along::side>(
        tile, room, p.headDim,
        [&](int t, int c) {
          return kC ? s.fromStart[t] * ungated(p, p.dy, at, t, c) : s.toEnd[t] * s.step[t] * at.u(p, t, c);
        },
        [&](int n, int c) { return at.state(p, kC ? p.chunkStates : pass.ends, c, n0 + n); });
  }
  const float *pairs = pass.pairs + (at.chunk * p.heads + first) * kPositions * kPositions;
  multiply<kC ? Along::sum : Along::side, Along::side>(
      tile, room, at.steps,
      [&](int row, int k) {
        const int i = kC ? row : k, j = kC ? k : row;
        float sum = 0;
        for (int h = 0; h < last - first; ++h) sum += pairs[(h * kPositions + i) * kPositions + j];
        return sum;
      },
      [&](int n, int k) { return at.projection(p, kC ? p.B : p.C, k, n0 + n); });
  float *to = (kC ? pass.dC : pass.dB) + slice * p.batch * p.length * p.groups * p.states;
  tile.each([&](float v, int t, int n) {
    if (t < at.steps && n0 + n < p.states) to[at.projectionAt(p, t, n0 + n)] = v;
  });
}

__global__ void __launch_bounds__(kThreads, kBlocks) projectionKernel(SsdBackward p, Passing pass, int tilesN) {
  __shared__ Room room;
  __shared__ Steps s;
  const int n0 = static_cast<int>(blockIdx.x % tilesN) * kSide;
  const int64_t rest = blockIdx.x / tilesN, index = rest / pass.slices;
  const int slice = static_cast<int>(rest % pass.slices);
  const Site at(p, index / p.groups, static_cast<int>(index % p.groups));
  if (blockIdx.y == 0)
    projectionTile<true>(p, pass, at, slice, n0, room, s);
  else
    projectionTile<false>(p, pass, at, slice, n0, room, s);
}

}  // namespace

size_t ssdGradWorkspace(const SsdProblem &p) { return Passing(p, nullptr).size; }

const char *launchSsdGrad(const SsdBackward &p, float *workspace, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  Passing pass(p, workspace);
  if (pass.slices == 1) pass.dB = p.dB, pass.dC = p.dC;
  launchChunkSums(p, p.dy, {pass.products, pass.ends, pass.whole}, stream);
  launchCarry(p, true, pass.ends, pass.whole, p.dFinalState, p.dInitialState, stream);
  const int64_t chunks = chunksOf(p), tilesN = tilesOf(p.states), projections = p.batch * p.length * p.groups * p.states;
  headKernel<<<static_cast<unsigned>(chunks * p.heads), kThreads, 0, stream>>>(p, pass);
  const dim3 tiles(static_cast<unsigned>(chunks * p.groups * pass.slices * tilesN), 2);
  projectionKernel<<<tiles, kThreads, 0, stream>>>(p, pass, static_cast<int>(tilesN));
  addSlices(p.dA, pass.dA, chunks, 1, p.heads, stream);
  addSlices(p.ddeltaBias, pass.dBias, chunks, 1, p.heads, stream);
  addSlices(p.dD, pass.dD, chunks, 1, p.heads * p.skipWidth, stream);
  if (pass.slices > 1) {
    addSlices(p.dB, pass.dB, pass.slices, 1, projections, stream);
    addSlices(p.dC, pass.dC, pass.slices, 1, projections, stream);
  }
  return lastError();
}

}  // namespace cuda
}  // namespace tfjs_mamba
