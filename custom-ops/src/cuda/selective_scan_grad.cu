// The selective scan, backward: a chunk's states are computed again from the saved one at its start, into registers, and
// time runs back over them. Sums over channels go by shuffles within a warp, through shared memory within a block, and
// over blocks in a kernel of their own, in a fixed order: no atomics, the same bits every time.
#include <type_traits>

#include "scan.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

// Sums that cross blocks, in the workspace: by batch and piece (slice), or by block of channels.
struct Partials {
  float *sumDelta, *starts;         // [slices,D], [slices,N,D]
  float *dA, *dFixedB, *dFixedC;    // [slices,N,D]
  float *dD, *dBias;                // [slices,D]
  float *dBC;                       // [blocks,B,L,2N]
};

Partials divide(const ScanProblem &p, const Pieces &pieces, float *workspace) {
  const int64_t vectors = p.batch * pieces.count * p.channels, matrices = vectors * p.states;
  Partials q;
  q.sumDelta = workspace;
  q.dD = q.sumDelta + vectors;
  q.dBias = q.dD + vectors;
  q.starts = q.dBias + vectors;
  q.dA = q.starts + matrices;
  q.dFixedB = q.dA + matrices;
  q.dFixedC = q.dFixedB + matrices;
  q.dBC = q.dFixedC + matrices;
  return q;
}

template <int S>
struct Shared {
  Staged in;
  float dOut[kSteps][kChannels], y[kSteps][kChannels], sumSB[kSteps][kChannels], dDelta[kSteps][kChannels];
  Projection<S> B, C;
  float dBC[kWarps][kSteps][2 * S * kLanesPerChannel];
};

__device__ inline void stageGradient(float (&dOut)[kSteps][kChannels], const ScanBackward &p, const Fetched &dy,
                                     const Fetched &z) {
  const int c = threadIdx.x % kChannels, row = threadIdx.x / kChannels;
#pragma unroll
  for (int k = 0; k < kRowsPerThread; ++k) dOut[row + k * kWarps][c] = dy.v[k] * (p.z ? silu(z.v[k]) : 1.0f);
}

// What each piece hands to the one before it if nothing comes from the one behind.
template <int S, bool kSelective>
__global__ void __launch_bounds__(kThreads) reverseEnds(ScanBackward p, Grid grid, Pieces pieces, Partials out) {
  extern __shared__ float memory[];
  Shared<S> &s = *reinterpret_cast<Shared<S> *>(memory);
  if (kSelective) p.constantB = p.constantC = false;
  const Place at(p, grid, pieces);
  const int64_t slice = at.batch * pieces.count + at.piece;
  float A2[S], fixedC[S], g[S] = {}, total = 0;
  loadStates<S>(A2, p.A, p, at, kLog2e);
  if (p.constantC) loadStates<S>(fixedC, p.C, p, at, 1);
  for (int64_t t0 = (at.end - 1) / kSteps * kSteps; t0 >= at.begin; t0 -= kSteps) {
    const Fetched rawDelta(p.delta, p, at, t0), u(p.u, p, at, t0);
    const Fetched dy(p.dy, p, at, t0), z(p.z ? p.z : p.u, p, at, t0);
    __syncthreads();
    stage(s.in, p, at, t0, rawDelta, u);
    stageGradient(s.dOut, p, dy, z);
    if (!p.constantC) stageProjection<S>(s.C, p.C, p.groupsC, p, at, t0);
    __syncthreads();
#pragma unroll 4
    for (int t = kSteps - 1; t >= 0; --t) {
      const float delta = s.in.delta[t][at.channelInBlock], dOut = s.dOut[t][at.channelInBlock];
#pragma unroll
      for (int j = 0; j < S; ++j)
        g[j] = (g[j] + dOut * (p.constantC ? fixedC[j] : s.C[t][at.lane * S + j])) * exp2Fast(delta * A2[j]);
      total += delta;
    }
  }
  for (int j = 0; j < S; ++j) {
    const int64_t i = stateIndex<S>(p, at, slice, j);
    if (i >= 0) out.starts[i] = g[j];
  }
  if (at.active() && at.lane == 0) out.sumDelta[slice * p.channels + at.channel()] = total;
}

// Sums 2S values of each lane over the 8 channels of the warp (lane bits 2 to 4). Each exchange hands half of the values
// over, so 7 shuffles do for 8 values; then a lane holds the sums of values from `first` on, kLeft of them.
template <int S>
struct ChannelSum {
  static constexpr int kLeft = 2 * S >= 8 ? 2 * S / 8 : 1;
  int first = 0;
  bool writes = true;  // with fewer values than lanes several lanes hold the same sum

  __device__ ChannelSum(float (&v)[2 * S]) {
    const int lane = threadIdx.x % 32;
    int count = 2 * S;
#pragma unroll
    for (int mask = 16; mask >= 4; mask /= 2) {
      const bool upper = lane & mask;
      if (count > 1) {
        count /= 2;
#pragma unroll
        for (int i = 0; i < S; ++i) {
          if (i >= count) break;
          const float other = __shfl_xor_sync(0xffffffffu, upper ? v[i] : v[i + count], mask);
          v[i] = (upper ? v[i + count] : v[i]) + other;
        }
        if (upper) first += count;
      } else {
        v[0] += __shfl_xor_sync(0xffffffffu, v[0], mask);
        writes = writes && !upper;
      }
    }
  }
};

template <int S, bool kSelective>
__global__ void __launch_bounds__(kThreads) reverseKernel(ScanBackward p, Grid grid, Pieces pieces, Partials out) {
  extern __shared__ float memory[];
  Shared<S> &s = *reinterpret_cast<Shared<S> *>(memory);
  if (kSelective) p.constantB = p.constantC = false;
  const Place at(p, grid, pieces);
  const int64_t slice = at.batch * pieces.count + at.piece;
  float A[S], fixedB[S], fixedC[S], g[S], dA[S] = {}, dFixedB[S] = {}, dFixedC[S] = {}, sumD = 0, sumBias = 0;
  loadStates<S>(A, p.A, p, at, 1);
  if (p.constantB) loadStates<S>(fixedB, p.B, p, at, 1);
  if (p.constantC) loadStates<S>(fixedC, p.C, p, at, 1);
  for (int j = 0; j < S; ++j) {
    const int64_t i = stateIndex<S>(p, at, slice, j);
    g[j] = i >= 0 ? out.starts[i] : 0.0f;
  }
  const int warp = threadIdx.x / 32, row = threadIdx.x / kChannels, column = threadIdx.x % kChannels;
  const bool real = column < at.width;
  const float D = p.D && real ? p.D[at.firstChannel + column] : 0.0f;
  const float bias = p.deltaBias && real ? p.deltaBias[at.firstChannel + column] : 0.0f;

  for (int64_t t0 = (at.end - 1) / kSteps * kSteps; t0 >= at.begin; t0 -= kSteps) {
    const Fetched rawDelta(p.delta, p, at, t0), u(p.u, p, at, t0);
    const Fetched dy(p.dy, p, at, t0), z(p.z ? p.z : p.u, p, at, t0);
    __syncthreads();
    stage(s.in, p, at, t0, rawDelta, u);
    stageGradient(s.dOut, p, dy, z);
    if (!p.constantB) stageProjection<S>(s.B, p.B, p.groupsB, p, at, t0);
    if (!p.constantC) stageProjection<S>(s.C, p.C, p.groupsC, p, at, t0);
    __syncthreads();

    float h[kSteps + 1][S];  // states before each step, and after the last
#pragma unroll
    for (int j = 0; j < S; ++j) {
      const int64_t i = stateIndex<S>(p, at, at.batch * savedStates(p.length) + t0 / kSteps, j);
      h[0][j] = i >= 0 ? p.chunkStates[i] : 0.0f;
    }
#pragma unroll
    for (int t = 0; t < kSteps; ++t) {
      const float delta = s.in.delta[t][at.channelInBlock] * kLog2e, deltaU = s.in.deltaU[t][at.channelInBlock];
      float y = 0;
#pragma unroll
      for (int j = 0; j < S; ++j) {
        h[t + 1][j] =
            exp2Fast(delta * A[j]) * h[t][j] + deltaU * (p.constantB ? fixedB[j] : s.B[t][at.lane * S + j]);
        if (p.z) y += h[t + 1][j] * (p.constantC ? fixedC[j] : s.C[t][at.lane * S + j]);
      }
      if (p.z) {
        y = sumLanes(y);
        if (at.lane == 0) s.y[t][at.channelInBlock] = y;
      }
    }

#pragma unroll
    for (int t = kSteps - 1; t >= 0; --t) {
      const float delta = s.in.delta[t][at.channelInBlock], deltaU = s.in.deltaU[t][at.channelInBlock];
      const float dOut = s.dOut[t][at.channelInBlock];
      float sums[2 * S], sumSB = 0, dDelta = 0;
#pragma unroll
      for (int j = 0; j < S; ++j) {
        g[j] += dOut * (p.constantC ? fixedC[j] : s.C[t][at.lane * S + j]);
        sums[j] = g[j] * deltaU;
        sums[S + j] = dOut * h[t + 1][j];
        if (!kSelective) dFixedB[j] += sums[j], dFixedC[j] += sums[S + j];
        sumSB += g[j] * (p.constantB ? fixedB[j] : s.B[t][at.lane * S + j]);
        g[j] *= exp2Fast(delta * kLog2e * A[j]);
        const float product = g[j] * h[t][j];
        dA[j] += delta * product;
        dDelta += A[j] * product;
      }
      sumSB = sumLanes(sumSB), dDelta = sumLanes(dDelta);
      if (at.lane == 0) s.sumSB[t][at.channelInBlock] = sumSB, s.dDelta[t][at.channelInBlock] = dDelta;
      if (!p.constantB || !p.constantC) {
        const ChannelSum<S> sum(sums);
        for (int i = 0; i < ChannelSum<S>::kLeft; ++i)
          if (sum.writes) s.dBC[warp][t][at.lane * 2 * S + sum.first + i] = sums[i];
      }
    }
    __syncthreads();

#pragma unroll
    for (int k = 0; k < kRowsPerThread; ++k) {
      const int t = row + k * kWarps;
      if (!real || t0 + t >= at.end) continue;
      const int64_t i = (at.batch * p.length + t0 + t) * p.channels + at.firstChannel + column;
      const float dOut = s.dOut[t][column], sumSB = s.sumSB[t][column];
      float dDelta = s.dDelta[t][column] + u.v[k] * sumSB;
      if (p.softplus) {
        const float x = rawDelta.v[k] + bias;
        if (x <= 20.0f) dDelta *= sigmoid(x);
      }
      p.ddelta[i] = dDelta;
      p.du[i] = D * dOut + s.in.delta[t][column] * sumSB;
      sumD += dOut * u.v[k], sumBias += dDelta;
      if (p.z) {
        const float gate = sigmoid(z.v[k]);
        p.dz[i] = dy.v[k] * (s.y[t][column] + D * u.v[k]) * gate * (1.0f + z.v[k] * (1.0f - gate));
      }
    }
    if (!p.constantB || !p.constantC) {
      // Value v of lane l is state l*S + v of B for v < S, of C from there on.
      for (int i = threadIdx.x; i < kSteps * 2 * S * kLanesPerChannel; i += kThreads) {
        const int t = i / (2 * S * kLanesPerChannel), k = i % (2 * S * kLanesPerChannel);
        const int v = k % (2 * S), n = k / (2 * S) * S + v % S;
        if (n >= p.states || t0 + t >= at.end) continue;
        float sum = 0;
        for (int w = 0; w < kWarps; ++w) sum += s.dBC[w][t][k];
        const int64_t to = (static_cast<int64_t>(blockIdx.x) * p.batch + at.batch) * p.length + t0 + t;
        out.dBC[(to * 2 + v / S) * p.states + n] = sum;
      }
    }
  }

  for (int j = 0; j < S; ++j) {
    const int64_t i = stateIndex<S>(p, at, slice, j);
    if (i >= 0) {
      out.dA[i] = dA[j];
      if (p.dInitialState && at.piece == 0)
        p.dInitialState[(static_cast<int64_t>(at.batch) * p.channels + at.channel()) * p.states + at.lane * S + j] = g[j];
      if (p.constantB) out.dFixedB[i] = dFixedB[j];
      if (p.constantC) out.dFixedC[i] = dFixedC[j];
    }
  }
  // Four threads hold a channel's sums over every fourth step.
  __syncthreads();
  s.y[row][column] = sumD, s.sumSB[row][column] = sumBias;
  __syncthreads();
  if (row == 0 && real) {
    const int64_t i = slice * p.channels + at.firstChannel + column;
    out.dD[i] = (s.y[0][column] + s.y[1][column]) + (s.y[2][column] + s.y[3][column]);
    out.dBias[i] = (s.sumSB[0][column] + s.sumSB[1][column]) + (s.sumSB[2][column] + s.sumSB[3][column]);
  }
}

// out [D,rows] = sum of slices [rows,D].
__global__ void addSlices(float *out, const float *from, int64_t slices, int64_t rows, int64_t channels) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= rows * channels) return;
  float sum = 0;
  for (int64_t s = 0; s < slices; ++s) sum += from[s * rows * channels + i];
  out[i % channels * rows + i / channels] = sum;
}

// dB (part 0) or dC (part 1) [B,L,G,N] = the sum over the blocks of each group.
__global__ void addBlocks(float *out, const float *from, ScanProblem p, int64_t groups, int64_t blocks, int part) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= p.batch * p.length * groups * p.states) return;
  const int64_t n = i % p.states, g = i / p.states % groups, step = i / p.states / groups, each = blocks / groups;
  float sum = 0;
  for (int64_t k = g * each; k < (g + 1) * each; ++k)
    sum += from[((k * p.batch * p.length + step) * 2 + part) * p.states + n];
  out[i] = sum;
}

unsigned blocksFor(int64_t threads) { return static_cast<unsigned>((threads + 127) / 128); }

}  // namespace

size_t scanGradWorkspace(const ScanProblem &p, const Pieces &pieces) {
  const int64_t vectors = p.batch * pieces.count * p.channels;
  return static_cast<size_t>(vectors * (3 + 4 * p.states) + Grid(p).blocks() * p.batch * p.length * 2 * p.states);
}

const char *launchSelectiveScanGrad(const ScanBackward &p, const Pieces &pieces, float *workspace, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  const Grid grid(p);
  const Partials out = divide(p, pieces, workspace);
  const dim3 blocks(grid.blocks(), static_cast<unsigned>(pieces.count), static_cast<unsigned>(p.batch));
  const int64_t slices = p.batch * pieces.count;
  return withStates(p.states, [&](auto size) -> const char * {
    constexpr int S = decltype(size)::value;
    constexpr int kBytes = static_cast<int>(sizeof(Shared<S>));
    const bool selective = !p.constantB && !p.constantC;
    const auto pass = [&](auto kernel) {
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
      kernel<<<blocks, kThreads, kBytes, stream>>>(p, grid, pieces, out);
    };
    if (pieces.count > 1) selective ? pass(reverseEnds<S, true>) : pass(reverseEnds<S, false>);
    if (const char *error = launchLink(p, pieces, true, p.dFinalState, out.sumDelta, out.starts, stream)) return error;
    selective ? pass(reverseKernel<S, true>) : pass(reverseKernel<S, false>);
    const auto add = [&](float *to, const float *from, int64_t rows) {
      if (to) addSlices<<<blocksFor(rows * p.channels), 128, 0, stream>>>(to, from, slices, rows, p.channels);
    };
    const auto addProjection = [&](float *to, int64_t groups, int part) {
      const int64_t threads = p.batch * p.length * groups * p.states;
      addBlocks<<<blocksFor(threads), 128, 0, stream>>>(to, out.dBC, p, groups, grid.blocks(), part);
    };
    add(p.dA, out.dA, p.states);
    add(p.dD, out.dD, 1);
    add(p.ddeltaBias, out.dBias, 1);
    p.constantB ? add(p.dB, out.dFixedB, p.states) : addProjection(p.dB, p.groupsB, 0);
    p.constantC ? add(p.dC, out.dFixedC, p.states) : addProjection(p.dC, p.groupsC, 1);
    return lastError();
  });
}

}  // namespace cuda
}  // namespace tfjs_mamba
