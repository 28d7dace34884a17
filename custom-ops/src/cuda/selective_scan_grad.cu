// The selective scan, backward: time runs back over a chunk of steps, whose states are computed again from the saved
// one into shared memory. Sums over the channels of a block go by shuffles, over blocks and pieces in kernels of their
// own.
#include "scan.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

template <typename T>
struct Gradients {
  const T *dy;
  T *du, *ddelta, *dz;

  explicit Gradients(const ScanBackward &p) : dy(p.dy), du(p.du), ddelta(p.ddelta), dz(p.dz) {}
};

// Sums that cross blocks, in the workspace: by batch and piece (slice), or by block of channels.
struct Partials {
  float *ends, *sumDelta;         // tiles of states by slice; [slices,D]
  float *dA, *dFixedB, *dFixedC;  // [slices,N,D]
  float *dD, *dBias;              // [slices,D]
  float *dBC;                     // [blocks,B,L,kBoth]
};

// dB and dC of a block at a step: for each quarter of the states those of B, then those of C.
template <int S>
constexpr int kBoth = 2 * S * kShare;

Partials divide(const ScanProblem &p, const Pieces &pieces, float *workspace) {
  const int64_t slices = p.batch * pieces.count, vectors = slices * p.channels, matrices = vectors * p.states;
  Partials q;
  q.ends = workspace;
  q.dBC = q.ends + slices * stateFloats(p);
  q.sumDelta = q.dBC + p.batch * p.length * 2 * stateFloats(p) / kChannels;
  q.dD = q.sumDelta + vectors;
  q.dBias = q.dD + vectors;
  q.dA = q.dBias + vectors;
  q.dFixedB = q.dA + matrices;
  q.dFixedC = q.dFixedB + matrices;
  return q;
}

// To a matrix [N,D] of a slice, for addSlices.
template <int S>
__device__ inline void toSlice(float *to, const States<S> &from, const ScanProblem &p, const Place &at) {
  for (int j = 0; j < kShare; ++j)
    for (int i = 0; i < S; ++i) {
      const int n = at.quarter() * S + i;
      if (at.active(j) && n < p.states) to[(at.slice * p.states + n) * p.channels + at.channel(j)] = from.v[j][i];
    }
}

template <typename T, int S>
struct EndsMemory {
  ChannelRows<T> delta, dy, z;
  StateRows<T, S> C;
};

// What each piece hands to the one before it if nothing comes from the one behind.
template <typename T, int S, bool kSelective, bool kPacked>
__global__ void __launch_bounds__(32)
    reverseEnds(ScanBackward p, Inputs<T> in, Gradients<T> io, bool fours, Grid grid, Pieces pieces, Partials out) {
  __shared__ EndsMemory<T, S> s;
  if (kSelective) p.constantC = false;
  if (!kPacked) p.sequenceIds = nullptr;
  const Place at(p, grid, pieces);
  if (at.piece == 0) return;  // nothing comes before
  const auto request = [&](const auto &ask) {
    ask.channels(s.delta, in.delta);
    ask.channels(s.dy, io.dy);
    if (in.z) ask.channels(s.z, in.z);
    if (!p.constantC) ask.states(s.C, in.C, p.groupsC, at.groupC);
  };
  const int64_t last = (at.end - 1) / kSteps * kSteps;
  ask(fours, p, at, 0, last, request);
  const float bias = p.deltaBias ? p.deltaBias[at.channel()] : 0.0f;
  const States<S> A2 = decays<S>(p, at);
  States<S> fixedC, g = {};
  if (p.constantC) fixedC.fromMatrix(p.C, p, at);
  float total = 0;
  bool cut = false;
  int room = 0;
  for (int64_t t0 = last; t0 >= at.begin; t0 -= kSteps, room ^= 1) {
    __syncwarp();
    ask(fours, p, at, room ^ 1, t0 - kSteps, request);
    __pipeline_wait_prior(1);
    __syncwarp();
    float delta[kSteps];
#pragma unroll
    for (int k = 0; k < kSteps; ++k) delta[k] = s.delta.get(room, k) + bias;
    const int left = static_cast<int>(min(at.end - t0, static_cast<int64_t>(kSteps)));
    toSteps(delta, p.softplus, left);
    const unsigned starts = documentStarts(p, at, t0, left);
    cut = cut || starts != 0;
#pragma unroll
    for (int k = kSteps - 1; k >= 0; --k) {
      float deltas[kShare], dOuts[kShare], rowC[S], dOut = s.dy.get(room, k);
      if (in.z) dOut *= silu(s.z.get(room, k));
      spread(deltas, delta[k]);
      spread(dOuts, dOut);
      if (!p.constantC) s.C.get(rowC, room, k);
      g.each([&](float &x, int j, int i) {
        x = (x + dOuts[j] * (p.constantC ? fixedC.v[j][i] : rowC[i])) * exp2Fast(deltas[j] * A2.v[j][i]);
      });
      if (starts >> k & 1) g = {};
      total += delta[k];
    }
  }
  g.store(out.ends + States<S>::place(at, grid, at.slice));
  if (at.active()) out.sumDelta[at.slice * p.channels + at.channel()] = cut ? kCut : total;
}

// Sums 2S values of each lane over the lanes that have the same quarter of the states (lane bits 2 to 4). Each exchange
// hands half of the values over, so 7 shuffles do for 8 values; then a lane holds the sums of values from `first` on,
// kLeft of them.
template <int S>
struct ChannelSum {
  static constexpr int kLeft = 2 * S >= 8 ? 2 * S / 8 : 1;
  int first = 0;
  bool writes = true;  // with fewer values than lanes several lanes hold the same sum

  __device__ ChannelSum(float (&v)[2 * S], int lane) {
    int count = 2 * S;
#pragma unroll
    for (int mask = 16; mask >= 4; mask /= 2) {
      const bool upper = lane & mask;
      if (count > 1) {
        count /= 2;
#pragma unroll
        for (int i = 0; i < S; ++i) {
          if (i >= count) break;
          const float other = __shfl_xor_sync(kFullWarp, upper ? v[i] : v[i + count], mask);
          v[i] = (upper ? v[i + count] : v[i]) + other;
        }
        if (upper) first += count;
      } else {
        v[0] += __shfl_xor_sync(kFullWarp, v[0], mask);
        writes = writes && !upper;
      }
    }
  }
};

template <typename T, int S>
struct Memory {
  ChannelRows<T> delta, u, dy, z;
  StateRows<T, S> B, C;
  float steps[kSteps][kChannels];     // delta after bias and softplus
  float h[kSteps][States<S>::kTile];  // before each step
};

template <typename T, int S, bool kSelective, bool kPacked>
__global__ void __launch_bounds__(32)
    reverseKernel(ScanBackward p, Inputs<T> in, Gradients<T> io, bool fours, Grid grid, Pieces pieces, Partials out) {
  extern __shared__ float4 memory[];
  Memory<T, S> &s = *reinterpret_cast<Memory<T, S> *>(memory);
  if (kSelective) p.constantB = p.constantC = false;
  if (!kPacked) p.sequenceIds = nullptr;
  const Place at(p, grid, pieces);
  const auto request = [&](const auto &ask) {
    ask.channels(s.delta, in.delta);
    ask.channels(s.u, in.u);
    ask.channels(s.dy, io.dy);
    if (in.z) ask.channels(s.z, in.z);
    if (!p.constantB) ask.states(s.B, in.B, p.groupsB, at.groupB);
    if (!p.constantC) ask.states(s.C, in.C, p.groupsC, at.groupC);
  };
  const int64_t last = (at.end - 1) / kSteps * kSteps;
  ask(fours, p, at, 0, last, request);
  const float bias = p.deltaBias ? p.deltaBias[at.channel()] : 0.0f, D = p.D ? p.D[at.channel()] : 0.0f;
  const States<S> A2 = decays<S>(p, at);
  States<S> fixedB, fixedC, dA = {}, dFixedB = {}, dFixedC = {};
  if (p.constantB) fixedB.fromMatrix(p.B, p, at);
  if (p.constantC) fixedC.fromMatrix(p.C, p, at);
  States<S> g = startOf(p.dFinalState, out.ends, out.sumDelta, A2, p, at, grid, pieces, true);
  const float *saved = p.chunkStates + States<S>::place(at, grid, at.batch * savedStates(p.length) + last / kSteps);
  float sumD = 0, sumBias = 0;
  int room = 0;

  for (int64_t t0 = last; t0 >= at.begin; t0 -= kSteps, room ^= 1) {
    States<S> h;
    h.load(saved), saved -= grid.blocks() * States<S>::kTile;
    __syncwarp();
    ask(fours, p, at, room ^ 1, t0 - kSteps, request);
    __pipeline_wait_prior(1);
    __syncwarp();
    const int left = static_cast<int>(min(at.end - t0, static_cast<int64_t>(kSteps)));

    float delta[kSteps];
#pragma unroll
    for (int k = 0; k < kSteps; ++k) delta[k] = s.delta.get(room, k) + bias;
    toSteps(delta, p.softplus, left);
    const unsigned starts = documentStarts(p, at, t0, left);
#pragma unroll
    for (int k = 0; k < kSteps; ++k) s.steps[k][at.lane] = delta[k];
#pragma unroll 2
    for (int k = 0; k < kSteps; ++k) {
      float deltas[kShare], deltaUs[kShare], rowB[S];
      const float step = s.steps[k][at.lane];
      spread(deltas, step);
      spread(deltaUs, step * s.u.get(room, k));
      if (!p.constantB) s.B.get(rowB, room, k);
      h.store(s.h[k] + at.lane * States<S>::kVector);
      if (starts >> k & 1) h = {};
      h.each([&](float &x, int j, int i) {
        x = exp2Fast(deltas[j] * A2.v[j][i]) * x + deltaUs[j] * (p.constantB ? fixedB.v[j][i] : rowB[i]);
      });
    }

#pragma unroll 2
    for (int k = kSteps - 1; k >= 0; --k) {
      const float step = s.steps[k][at.lane], u = s.u.get(room, k), x = s.delta.get(room, k) + bias;
      const float dy = s.dy.get(room, k), z = in.z ? s.z.get(room, k) : 0.0f;
      const float gate = sigmoid(z), dOut = in.z ? dy * z * gate : dy;
      float deltas[kShare], deltaUs[kShare], dOuts[kShare], rowB[S], rowC[S];
      spread(deltas, step);
      spread(deltaUs, step * u);
      spread(dOuts, dOut);
      if (!p.constantB) s.B.get(rowB, room, k);
      if (!p.constantC) s.C.get(rowC, room, k);
      States<S> before;
      before.load(s.h[k] + at.lane * States<S>::kVector);
      const bool begins = starts >> k & 1;
      float both[2 * S] = {}, y[kShare] = {}, sumSB[kShare] = {}, dDelta[kShare] = {};
      g.each([&](float &x, int j, int i) {
        const float B = p.constantB ? fixedB.v[j][i] : rowB[i], C = p.constantC ? fixedC.v[j][i] : rowC[i];
        x += dOuts[j] * C;
        both[i] += x * deltaUs[j];
        both[S + i] += dOuts[j] * h.v[j][i];
        if (!kSelective) dFixedB.v[j][i] += x * deltaUs[j], dFixedC.v[j][i] += dOuts[j] * h.v[j][i];
        y[j] += C * h.v[j][i];
        sumSB[j] += x * B;
        x *= exp2Fast(deltas[j] * A2.v[j][i]);
        const float product = begins ? 0.0f : x * before.v[j][i];
        dA.v[j][i] += deltas[j] * product;
        dDelta[j] += A2.v[j][i] * product;
        h.v[j][i] = before.v[j][i];
      });
      if (begins) g = {};
      const float slope = p.softplus && x <= 20.0f ? sigmoid(x) : 1.0f;
      const float ownSB = gather(sumSB), ownDelta = (gather(dDelta) * (1 / kLog2e) + u * ownSB) * slope;
      const float ownY = gather(y) + D * u;
      sumD += dOut * u;
      sumBias += k < left ? ownDelta : 0.0f;
      if (k < left && at.active()) {
        const int64_t to = (at.batch * p.length + t0 + k) * p.channels + at.channel();
        io.ddelta[to] = static_cast<T>(ownDelta);
        io.du[to] = static_cast<T>(D * dOut + step * ownSB);
        if (in.z) io.dz[to] = static_cast<T>(dy * ownY * gate * (1.0f + z * (1.0f - gate)));
      }
      if (!p.constantB || !p.constantC) {
        const ChannelSum<S> sum(both, at.lane);
        const int64_t row = (at.block * p.batch + at.batch) * p.length + t0 + k;
        float *to = out.dBC + row * kBoth<S> + at.quarter() * 2 * S + sum.first;
        if (k < left && sum.writes)
          for (int i = 0; i < ChannelSum<S>::kLeft; ++i) to[i] = both[i];
      }
    }
  }

  toSlice(out.dA, dA, p, at);
  if (p.constantB) toSlice(out.dFixedB, dFixedB, p, at);
  if (p.constantC) toSlice(out.dFixedC, dFixedC, p, at);
  if (p.dInitialState && at.piece == 0) g.toMatrix(p.dInitialState + at.batch * p.channels * p.states, p, at);
  if (at.active()) {
    out.dD[at.slice * p.channels + at.channel()] = sumD;
    out.dBias[at.slice * p.channels + at.channel()] = sumBias;
  }
}

// dB (part 0) or dC (part 1) [B,L,G,N] = the sum over the blocks of each group.
template <int S>
__global__ void addBlocks(float *out, const float *from, ScanProblem p, int64_t groups, int64_t blocks, int part) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= p.batch * p.length * groups * p.states) return;
  const int64_t n = i % p.states, g = i / p.states % groups, step = i / p.states / groups, each = blocks / groups;
  from += step * kBoth<S> + n / S * 2 * S + part * S + n % S;
  float sum = 0;
#pragma unroll 8
  for (int64_t k = g * each; k < (g + 1) * each; ++k) sum += from[k * p.batch * p.length * kBoth<S>];
  out[i] = sum;
}

}  // namespace

size_t scanGradWorkspace(const ScanProblem &p, const Pieces &pieces) {
  const int64_t slices = p.batch * pieces.count;
  return static_cast<size_t>(slices * (stateFloats(p) + p.channels * (3 + 3 * p.states)) +
                             p.batch * p.length * 2 * stateFloats(p) / kChannels);
}

const char *launchSelectiveScanGrad(const ScanBackward &p, const Pieces &pieces, float *workspace, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  const Grid grid(p);
  const Partials out = divide(p, pieces, workspace);
  const int64_t slices = p.batch * pieces.count;
  const unsigned blocks = static_cast<unsigned>(slices * grid.blocks());
  return withStates(p.states, [&](auto size) -> const char * {
    constexpr int S = decltype(size)::value;
    constexpr int kBytes = static_cast<int>(sizeof(Memory<float, S>));
    const bool fours = Inputs<float>(p).fours(p, grid) && inFours(p.channels, p.dy),
               selective = !p.constantB && !p.constantC, packed = p.sequenceIds != nullptr;
    const auto pass = [&](auto kernel, int bytes) {
      if (bytes > 48 * 1024) cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
      kernel<<<blocks, 32, bytes, stream>>>(p, Inputs<float>(p), Gradients<float>(p), fours, grid, pieces, out);
    };
    if (!selective) {
      if (pieces.count > 1) pass(reverseEnds<float, S, false, true>, 0);
      pass(reverseKernel<float, S, false, true>, kBytes);
    } else if (packed) {
      if (pieces.count > 1) pass(reverseEnds<float, S, true, true>, 0);
      pass(reverseKernel<float, S, true, true>, kBytes);
    } else {
      if (pieces.count > 1) pass(reverseEnds<float, S, true, false>, 0);
      pass(reverseKernel<float, S, true, false>, kBytes);
    }
    const auto addProjection = [&](float *to, int64_t groups, int part) {
      addBlocks<S><<<blocksFor(p.batch * p.length * groups * p.states, 128), 128, 0, stream>>>(to, out.dBC, p, groups,
                                                                                               grid.blocks(), part);
    };
    addSlices(p.dA, out.dA, slices, p.states, p.channels, stream);
    addSlices(p.dD, out.dD, slices, 1, p.channels, stream);
    addSlices(p.ddeltaBias, out.dBias, slices, 1, p.channels, stream);
    if (p.constantB)
      addSlices(p.dB, out.dFixedB, slices, p.states, p.channels, stream);
    else
      addProjection(p.dB, p.groupsB, 0);
    if (p.constantC)
      addSlices(p.dC, out.dFixedC, slices, p.states, p.channels, stream);
    else
      addProjection(p.dC, p.groupsC, 1);
    return lastError();
  });
}

}  // namespace cuda
}  // namespace tfjs_mamba
